#include "auth/filter_relation.hpp"

namespace sluice::auth {
namespace {

bool begins_with_wildcard(std::string_view filter) {
    return filter.starts_with('+') || filter.starts_with('#');
}

/// Walks the levels of a filter.
class Levels {
  public:
    explicit Levels(std::string_view filter) : rest_(filter) { cut(); }
    bool ended() const { return ended_; }
    std::string_view level() const { return level_; }
    bool is_hash() const { return !ended_ && level_ == "#"; }
    bool is_plus() const { return !ended_ && level_ == "+"; }
    void advance() {
        if (last_) {
            ended_ = true;
        } else {
            cut();
        }
    }

  private:
    void cut() {
        const std::size_t slash = rest_.find('/');
        last_ = slash == std::string_view::npos;
        level_ = rest_.substr(0, slash);
        if (!last_) rest_.remove_prefix(slash + 1);
    }
    std::string_view rest_, level_;
    bool last_ = false, ended_ = false;
};

}  // namespace

bool filters_overlap(std::string_view a, std::string_view b) {
    // What begins with a wildcard matches no '$' topic [MQTT-4.7.2-1].
    if (a.starts_with('$') && begins_with_wildcard(b)) return false;
    if (b.starts_with('$') && begins_with_wildcard(a)) return false;
    Levels x(a), y(b);
    for (;; x.advance(), y.advance()) {
        if (x.is_hash() || y.is_hash()) return true;  // also for the parent level, where the other has ended
        if (x.ended() || y.ended()) return x.ended() && y.ended();
        if (!x.is_plus() && !y.is_plus() && x.level() != y.level()) return false;
    }
}

bool filter_covers(std::string_view wide, std::string_view narrow) {
    if (narrow.starts_with('$') && begins_with_wildcard(wide)) return false;  // [MQTT-4.7.2-1]
    Levels x(wide), y(narrow);
    for (;; x.advance(), y.advance()) {
        if (x.is_hash()) return true;
        if (x.ended() || y.ended()) return x.ended() && y.ended();
        if (y.is_hash()) return false;
        if (!x.is_plus() && x.level() != y.level()) return false;
    }
}

}  // namespace sluice::auth
