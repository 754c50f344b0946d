#pragma once
/// RetainedOrder: numbers the changes of retained messages in the order in which memory takes them, and knows
/// up to which number all of them are with the store. Any thread.
///
/// A shard hands its changes over at the end of its turn, so those of two shards to one topic may come to the
/// store in the other order. It believes the higher number, and need not remember numbers below which nothing
/// is still to come.
#include <atomic>
#include <cstdint>
#include <memory>

#include "base/check.hpp"
#include "core/ledger.hpp"

namespace sluice::core {

class RetainedOrder {
  public:
    /// `writers`: the shards, numbered from 0.
    explicit RetainedOrder(std::uint32_t writers)
        : writers_(writers), pending_(std::make_unique<Pending[]>(writers)) {}

    /// The number of a change by `writer`, which has not handed it over yet. The caller holds the lock of the
    /// topic. 0 when there is only one writer, whose changes keep their order anyway.
    RetainedSequence take(std::uint32_t writer) {
        CHECK(writer < writers_);
        if (writers_ == 1) return 0;
        // Said before the number is taken: whoever sees the number taken sees this, too (all of these are
        // sequentially consistent).
        auto& since = pending_[writer].since;
        if (since == 0) since = last_ + 1;
        return ++last_;
    }
    /// No change up to this number is still to come from anybody but `writer`.
    RetainedSequence passed(std::uint32_t writer) const {
        RetainedSequence all = last_;
        for (std::uint32_t i = 0; i < writers_; ++i) {
            const RetainedSequence since = pending_[i].since;
            if (i != writer && since != 0 && since <= all) all = since - 1;
        }
        return all;
    }
    /// The store has all changes that `writer` has taken numbers for.
    void handed_over(std::uint32_t writer) { pending_[writer].since = 0; }

  private:
    struct alignas(64) Pending {
        std::atomic<RetainedSequence> since{0};  ///< not above the first number not handed over; 0: none
    };
    const std::uint32_t writers_;
    std::atomic<RetainedSequence> last_{0};
    std::unique_ptr<Pending[]> pending_;
};

}  // namespace sluice::core
