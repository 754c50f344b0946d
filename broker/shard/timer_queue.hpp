#pragma once
/// TimerQueue: all deadlines of a shard in one heap, 16 bytes each, instead of a timer object per connection.
/// A deadline that moved is not searched for: when it fires, its owner looks whether it is really due and
/// adds it again. Those whose owner is gone stay until they fire or are swept out, which is whenever the heap
/// has doubled: it is never much more than twice as large as what somebody waits for. One thread.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/clock.hpp"
#include "core/subscription.hpp"

namespace sluice::shard {

enum class TimerKind : std::uint8_t { keep_alive, session_expiry, will_delay, publish_rate };

struct Timer {
    MonoTime when{};
    core::SubscriberId slot = 0;
    std::uint32_t generation : 24 =
        0;  ///< of the slot; a mismatch means that the timer is about somebody else
    std::uint32_t kind : 8 = 0;
};
static_assert(sizeof(Timer) == 16);

class TimerQueue {
  public:
    void add(MonoTime when, TimerKind kind, core::SubscriberId slot, std::uint32_t generation) {
        heap_.push_back({when, slot, generation & 0xffffffU, static_cast<std::uint32_t>(kind)});
        std::push_heap(heap_.begin(), heap_.end(), later);
    }
    bool empty() const { return heap_.empty(); }
    std::size_t size() const { return heap_.size(); }
    MonoTime next() const { return heap_.front().when; }
    Timer pop() {
        std::pop_heap(heap_.begin(), heap_.end(), later);
        const Timer timer = heap_.back();
        heap_.pop_back();
        if (heap_.size() < sweep_at_ / 4) sweep_at_ = std::max(sweep_min, sweep_at_ / 2);
        return timer;
    }

    /// Time for compact().
    bool crowded() const { return heap_.size() >= sweep_at_; }
    /// Removes those for which `is_current(timer)` is false. Each one that is added pays for a look at two.
    template <class IsCurrent>
    void compact(IsCurrent&& is_current) {
        std::erase_if(heap_, [&](const Timer& timer) { return !is_current(timer); });
        if (heap_.capacity() > 4 * std::max(heap_.size(), sweep_min)) heap_.shrink_to_fit();
        std::make_heap(heap_.begin(), heap_.end(), later);
        sweep_at_ = std::max(sweep_min, 2 * heap_.size());
    }
    std::size_t footprint_bytes() const { return heap_.capacity() * sizeof(Timer); }

  private:
    static constexpr std::size_t sweep_min = 1024;

    static bool later(const Timer& a, const Timer& b) { return a.when > b.when; }

    std::vector<Timer> heap_;
    std::size_t sweep_at_ = sweep_min;
};

}  // namespace sluice::shard
