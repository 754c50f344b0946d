#pragma once
/// TimerQueue: all deadlines of a shard in one heap, 24 bytes each, instead of a timer object per connection.
/// A deadline that moved is not searched for: when it fires, its owner looks whether it is really due and
/// adds it again. One thread.
#include <cstdint>
#include <queue>
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

class TimerQueue {
  public:
    void add(MonoTime when, TimerKind kind, core::SubscriberId slot, std::uint32_t generation) {
        heap_.push({when, slot, generation & 0xffffffU, static_cast<std::uint32_t>(kind)});
    }
    bool empty() const { return heap_.empty(); }
    MonoTime next() const { return heap_.top().when; }
    Timer pop() {
        Timer timer = heap_.top();
        heap_.pop();
        return timer;
    }

  private:
    struct Later {
        bool operator()(const Timer& a, const Timer& b) const { return a.when > b.when; }
    };
    std::priority_queue<Timer, std::vector<Timer>, Later> heap_;
};

}  // namespace sluice::shard
