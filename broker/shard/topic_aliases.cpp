#include "shard/topic_aliases.hpp"

#include <algorithm>
#include <functional>

namespace sluice::shard {
namespace {

// The property costs three bytes [MQTT5 3.3.2.3.4]; a shorter topic is cheaper than its alias.
constexpr std::size_t topic_bytes_min = 5;
// A table of long topics would cost more than it saves.
constexpr std::size_t topic_bytes_max = 1024;
// An alias is given away when it was not used for so many messages per alias of the table.
constexpr std::uint64_t idle_messages_per_alias = 8;

std::uint64_t hash_of(std::string_view topic) {
    return std::hash<std::string_view>{}(topic);
}
std::uint32_t mark_of(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash >> 32) | 1U;  // 0 is an empty place
}

}  // namespace

std::uint16_t OutboundAliases::slot_to_set() const {
    if (slots_.size() < maximum_) return static_cast<std::uint16_t>(slots_.size() + 1);
    const auto oldest = std::min_element(slots_.begin(), slots_.end(),
                                         [](const Slot& a, const Slot& b) { return a.used_at < b.used_at; });
    if (clock_ - oldest->used_at < idle_messages_per_alias * slots_.size()) return 0;
    return static_cast<std::uint16_t>(oldest - slots_.begin() + 1);
}

OutboundAliases::Choice OutboundAliases::choose(std::string_view topic) const {
    if (seen_.empty() || topic.size() < topic_bytes_min || topic.size() > topic_bytes_max) return {};
    const std::uint64_t hash = hash_of(topic);
    for (std::size_t i = 0; i < hashes_.size(); ++i) {
        if (hashes_[i] != hash || slots_[i].topic != topic) continue;
        return {static_cast<std::uint16_t>(i + 1), true};
    }
    if (seen_[hash % seen_count] != mark_of(hash)) return {};
    return {slot_to_set(), false};
}

void OutboundAliases::sent(Choice choice, std::string_view topic) {
    if (topic.size() < topic_bytes_min || topic.size() > topic_bytes_max) return;
    ++clock_;
    if (choice.known) {
        slots_[choice.alias - 1U].used_at = clock_;
        return;
    }
    const std::uint64_t hash = hash_of(topic);
    if (choice.alias == 0) {
        if (seen_.empty()) seen_.resize(seen_count);
        seen_[hash % seen_count] = mark_of(hash);
        return;
    }
    if (choice.alias > slots_.size()) {
        slots_.emplace_back();
        hashes_.emplace_back();
    }
    slots_[choice.alias - 1U] = {std::string(topic), clock_};
    hashes_[choice.alias - 1U] = hash;
}

}  // namespace sluice::shard
