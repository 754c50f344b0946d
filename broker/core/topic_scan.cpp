#include "core/topic_scan.hpp"

#include <algorithm>

namespace sluice::core {
namespace {

/// '/' + 1: "a0" is the first text after all that begin with "a/".
constexpr char after_slash = '0';

std::size_t level_end(std::string_view text, std::size_t from) {
    return std::min(text.find('/', from), text.size());
}

/// Past everything that begins with `branch`, which is empty or ends with '/'.
ScanStep leave(std::string_view branch, std::string& target) {
    if (branch.empty()) return ScanStep::end;
    target.assign(branch);
    target.back() = after_slash;
    return ScanStep::seek;
}

/// In the branch `topic[0, at)` only topics with the level `wanted` next can match; this one has another.
ScanStep to_level(std::string_view topic, std::size_t at, std::string_view wanted, std::string& target) {
    const std::string_view rest = topic.substr(at);
    target.assign(topic.substr(0, at)).append(wanted);
    if (rest < wanted) return ScanStep::seek;
    // "a!" stands between "a" and "a/...": what goes on below the wanted level may still come.
    target.push_back('/');
    if (topic < target) return ScanStep::seek;
    return leave(topic.substr(0, at), target);
}

}  // namespace

std::string_view scan_begin(std::string_view filter) {
    const std::size_t wildcard = filter.find_first_of("+#");
    if (wildcard == std::string_view::npos) return filter;
    // Without the slash before the wildcard: '#' also matches its parent level [MQTT5 4.7.1.2].
    return filter.substr(0, wildcard == 0 ? 0 : wildcard - 1);
}

ScanStep scan_step(std::string_view filter, std::string_view topic, std::string& target) {
    if (!filter.empty() && (filter.front() == '+' || filter.front() == '#') && topic.starts_with('$')) {
        target = "%";  // '$' + 1: leading wildcards do not see '$' topics [MQTT-4.7.2-1]
        return ScanStep::seek;
    }
    std::size_t f = 0, t = 0;  // both stand at the beginning of the same level
    for (;;) {
        const std::string_view wanted = filter.substr(f, level_end(filter, f) - f);
        if (wanted == "#") return ScanStep::match;
        const std::size_t t_end = level_end(topic, t);
        if (wanted != "+" && topic.substr(t, t_end - t) != wanted) return to_level(topic, t, wanted, target);
        f += wanted.size() + 1;
        const bool filter_ends = f > filter.size(), topic_ends = t_end == topic.size();
        if (filter_ends && topic_ends) return ScanStep::match;
        if (filter_ends) return leave(topic.substr(0, t_end + 1), target);
        if (topic_ends) return filter.substr(f) == "#" ? ScanStep::match : ScanStep::mismatch;
        t = t_end + 1;
    }
}

}  // namespace sluice::core
