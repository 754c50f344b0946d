#include "shard/retained_run.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace sluice::shard {

RetainedRun::WantedNumber RetainedRun::want(std::string_view filter,
                                            const core::SubscriptionOptions& options) {
    const auto known = std::find_if(wanted_.begin(), wanted_.end(),
                                    [&](const LinkSpec::Wanted& one) { return one.filter == filter; });
    const auto number = static_cast<WantedNumber>(known - wanted_.begin());
    if (known == wanted_.end()) {
        wanted_.push_back({std::string(filter), options});
        return number;
    }
    known->options = options;
    for (Item& item : items_) item.left |= item.wanted == number;
    return number;
}

void RetainedRun::append(std::vector<core::MessagePtr>&& found, WantedNumber wanted) {
    for (core::MessagePtr& message : found) items_.push_back({std::move(message), wanted});
}

void RetainedRun::put_off(WantedNumber wanted) {
    if (std::find(put_off_.begin(), put_off_.end(), wanted) == put_off_.end()) put_off_.push_back(wanted);
}

RetainedRun::WantedNumber RetainedRun::take_put_off() {
    const WantedNumber next = put_off_.front();
    put_off_.pop_front();
    return next;
}

std::optional<RetainedRun::Due> RetainedRun::pop() {
    Item item = std::move(items_.front());
    items_.pop_front();
    ++first_;
    if (item.left) return std::nullopt;
    return Due{std::move(item.message), wanted_[item.wanted]};
}

std::vector<RetainedRun::Due> RetainedRun::take_topic(std::string_view topic) {
    if (index_end_ != first_ + items_.size()) index_all();
    std::vector<Due> found;
    const std::uint32_t hash = hash_of(topic);
    for (auto it = std::lower_bound(index_.begin(), index_.end(), Place{hash, 0});
         it != index_.end() && it->hash == hash; ++it) {
        const std::uint64_t number = index_first_ + it->offset;
        if (number < first_) continue;
        Item& item = items_[number - first_];
        if (item.left || item.message->topic() != topic) continue;
        item.left = true;
        found.push_back({item.message, wanted_[item.wanted]});
    }
    return found;
}

std::uint32_t RetainedRun::hash_of(std::string_view topic) {
    return static_cast<std::uint32_t>(std::hash<std::string_view>{}(topic));
}

void RetainedRun::index_all() {
    index_.clear();
    index_.reserve(items_.size());
    for (const Item& item : items_)
        index_.push_back({hash_of(item.message->topic()), static_cast<std::uint32_t>(index_.size())});
    std::sort(index_.begin(), index_.end());
    index_first_ = first_;
    index_end_ = first_ + items_.size();
}

}  // namespace sluice::shard
