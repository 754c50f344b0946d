#pragma once
/// Interest: what the other shards see of a shard's subscriptions, so that a message is not carried to where
/// nobody wants it. It may say yes for no reason, but never no to a topic that a subscription matches.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::shard {

/// A topic as interests look it up; computed once per message, with no allocation.
class TopicMarks {
  public:
    /// `topic` is a valid topic name.
    explicit TopicMarks(std::string_view topic);

  private:
    friend class Interest;
    /// Levels that are told apart; a wildcard further right counts as if it stood here.
    static constexpr std::size_t levels_max = 16;

    std::uint32_t exact_ = 0;
    std::array<std::uint32_t, levels_max> prefixes_;  ///< of the first 0, 1, 2, ... levels
    std::size_t prefix_count_ = 0;
};

/// Counts subscriptions by a hash of their filter: of the whole filter when it has no wildcard, else of the
/// levels before its first one.
class Interest {
  public:
    /// 16 KB of counters. With so many different filters that most are taken it says yes to nearly all.
    static constexpr std::size_t slots = 4096;

    /// The owner's thread. Each subscription is added once before its SUBACK, and removed once.
    void add(std::string_view filter);
    void remove(std::string_view filter);

    /// Any thread. Who publishes after a SUBACK was sent sees that subscription here.
    bool may_want(const TopicMarks& topic) const;

  private:
    static std::uint32_t slot_of(std::string_view filter);

    std::array<std::atomic<std::uint32_t>, slots> counts_{};
};

}  // namespace sluice::shard
