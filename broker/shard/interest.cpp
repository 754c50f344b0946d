#include "shard/interest.hpp"

#include <algorithm>

namespace sluice::shard {
namespace {

constexpr std::uint64_t hash_start = 0xcbf29ce484222325ULL;
constexpr std::uint64_t prefix_salt = 0x9e3779b97f4a7c15ULL;

std::uint64_t mix_in(std::uint64_t hash, char c) {
    return (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ULL;
}

std::uint32_t finish(std::uint64_t hash, std::size_t slots) {
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93ULL;
    return static_cast<std::uint32_t>((hash >> 32) % slots);
}

}  // namespace

TopicMarks::TopicMarks(std::string_view topic) {
    std::uint64_t hash = hash_start;
    prefixes_[prefix_count_++] = finish(hash ^ prefix_salt, Interest::slots);
    for (const char c : topic) {
        // "a/#" wants "a" as well [MQTT-4.7.1-2]: the prefix ends before the separator.
        if (c == '/' && prefix_count_ < levels_max)
            prefixes_[prefix_count_++] = finish(hash ^ prefix_salt, Interest::slots);
        hash = mix_in(hash, c);
    }
    if (prefix_count_ < levels_max) prefixes_[prefix_count_++] = finish(hash ^ prefix_salt, Interest::slots);
    exact_ = finish(hash, Interest::slots);
}

std::uint32_t Interest::slot_of(std::string_view filter) {
    std::uint64_t hash = hash_start;
    const std::size_t wildcard = filter.find_first_of("+#");
    if (wildcard == std::string_view::npos) {
        for (const char c : filter) hash = mix_in(hash, c);
        return finish(hash, slots);
    }
    // The levels before the first wildcard, without the separator, and not more of them than a topic has
    // marks.
    std::string_view literal = filter.substr(0, wildcard);
    if (!literal.empty()) literal.remove_suffix(1);
    std::size_t levels = wildcard == 0 ? 0 : 1;
    for (const char c : literal) {
        if (c == '/' && ++levels == TopicMarks::levels_max) break;
        hash = mix_in(hash, c);
    }
    return finish(hash ^ prefix_salt, slots);
}

void Interest::add(std::string_view filter) {
    counts_[slot_of(filter)].fetch_add(1, std::memory_order_seq_cst);
}

void Interest::remove(std::string_view filter) {
    counts_[slot_of(filter)].fetch_sub(1, std::memory_order_seq_cst);
}

bool Interest::may_want(const TopicMarks& topic) const {
    const auto taken = [this](std::uint32_t slot) {
        return counts_[slot].load(std::memory_order_seq_cst) != 0;
    };
    return taken(topic.exact_) ||
           std::any_of(topic.prefixes_.begin(),
                       topic.prefixes_.begin() + static_cast<std::ptrdiff_t>(topic.prefix_count_), taken);
}

}  // namespace sluice::shard
