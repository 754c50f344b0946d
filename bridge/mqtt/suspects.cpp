#include "bridge/mqtt/suspects.hpp"

namespace sluice::bridge::mqtt {
namespace {

constexpr int strikes_max = 3;
constexpr int named_max = 2;

}  // namespace

int Suspects::rank(std::uint32_t lane) const {
    if (trial_ && trial_->id.first == lane) return 0;
    const auto first = alone_.lower_bound({lane, 0});
    return first != alone_.end() && first->first == lane ? 1 : 2;
}

bool Suspects::on_end(Ending ending, const std::set<Id>& under_way, bool prompt) {
    if (ending != Ending::other && under_way.size() == 1 && prompt && alone_.contains(*under_way.begin()))
        return strike(*under_way.begin(), ending);
    trial_.reset();
    if (ending == Ending::other) {
        alone_.clear();
        last_under_way_.clear();
        return false;
    }
    for (const Id& id : under_way)
        if (ending == Ending::message || last_under_way_.contains(id)) alone_.insert(id);
    if (!under_way.empty()) last_under_way_ = under_way;
    return false;
}

bool Suspects::strike(const Id& id, Ending ending) {
    if (!trial_ || trial_->id != id) trial_ = Trial{.id = id};
    ++trial_->strikes;
    if (ending == Ending::message) ++trial_->named;
    if (trial_->strikes < strikes_max && trial_->named < named_max) return false;
    trial_.reset();
    alone_.erase(id);
    return true;
}

void Suspects::on_answer(const Id& id) {
    trial_.reset();
    alone_.erase(id);
}

}  // namespace sluice::bridge::mqtt
