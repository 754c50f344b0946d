#pragma once
/// ClockHistory: what the wall clock has said that was wrong. A gateway without a battery-backed clock starts
/// in the past, at 1970 or at its last shutdown, and takes messages in until NTP sets it right; without this
/// they would all be too old from then on.
#include <atomic>
#include <mutex>
#include <vector>

#include "base/clock.hpp"

namespace sluice {

/// Any thread.
class ClockHistory {
  public:
    /// A time that the clock has counted through until it was set: what it said from `begin` to `end` was
    /// `behind` behind what it says now; negative: ahead.
    struct Span {
        WallTime begin{}, end{};
        Millis behind{};
        bool operator==(const Span&) const = default;
    };
    static constexpr std::size_t spans_max = 32;  ///< the oldest are forgotten
    static constexpr Millis jump_min{1500};       ///< less is no jump: a leap second is one second

    /// That of the process; in a module, that of the broker, once it was given.
    static ClockHistory& instance();
    static void use(ClockHistory& history);

    /// Both clocks at one moment, `since_boot` with the time that the machine slept. Returns by how much the
    /// wall clock was set since the last call; 0: it was not.
    Millis observe(Millis since_boot, WallTime wall);
    /// See age_of().
    Millis age(WallTime since, WallTime now) const;

    /// Of earlier runs: before the first observe().
    void restore(std::vector<Span> spans);
    /// The oldest first.
    std::vector<Span> spans() const;
    /// How often the clock was set.
    std::uint64_t jumps() const { return jumps_.load(std::memory_order_relaxed); }

  private:
    const Span* span_of(WallTime time) const;

    mutable std::mutex mutex_;
    std::vector<Span> spans_;
    std::size_t earlier_ = 0;  ///< so many of them are of earlier runs
    bool observed_ = false;
    WallTime begin_{};  ///< of what the clock counts now
    Millis offset_{};   ///< of the wall clock to the time since boot
    std::atomic<bool> empty_{true};
    std::atomic<std::uint64_t> jumps_{0};
};

}  // namespace sluice
