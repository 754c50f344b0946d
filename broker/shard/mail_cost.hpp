#pragma once
/// MailCost: what the messages that one thread has sent to other shards will take there. A message of some
/// kilobytes may become a hundred when it is opened, for hundreds of sessions; counted only then, a shard
/// that publishes fast would see too late what comes of it.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "base/memory_gauge.hpp"

namespace sluice::shard {

class MailCost {
  public:
    /// That of the calling thread.
    static MailCost& mine() {
        thread_local MailCost one;
        return one;
    }
    /// A message of another shard was opened here, and took so many bytes. What is expected of the next one
    /// is the mean of the last eight without the largest: a table that has doubled for one of them does not
    /// double again for each that is on its way.
    void note_opened(std::uint64_t bytes) {
        recent_[next_] = bytes;
        next_ = (next_ + 1) % recent_.size();
        const std::uint64_t largest = *std::max_element(recent_.begin(), recent_.end());
        const std::uint64_t sum = std::accumulate(recent_.begin(), recent_.end(), std::uint64_t{0});
        const std::uint64_t mean = (sum - largest) / (recent_.size() - 1);
        // All senders read it: what changes little is not told.
        const std::uint64_t told = expected_of_one().load(std::memory_order_relaxed);
        if (mean > told + told / 8 || mean < told - told / 8)
            expected_of_one().store(mean, std::memory_order_relaxed);
    }
    /// One was sent. Counts in memory_gauge::total() when it is worth it.
    void note_sent() {
        const std::uint64_t bytes = expected_of_one().load(std::memory_order_relaxed);
        if (bytes >= worth_bytes) on_the_way_.set(on_the_way_.bytes() + bytes);
    }
    bool any_on_the_way() const { return on_the_way_.bytes() > 0; }
    void note_all_arrived() { on_the_way_.set(0); }

  private:
    static constexpr std::uint64_t worth_bytes = 4096;
    static std::atomic<std::uint64_t>& expected_of_one() {
        static std::atomic<std::uint64_t> bytes{0};
        return bytes;
    }

    std::array<std::uint64_t, 8> recent_{};  ///< what the last ones took
    std::size_t next_ = 0;                   ///< the oldest of them
    memory_gauge::Foreign on_the_way_;
};

}  // namespace sluice::shard
