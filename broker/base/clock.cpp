#include <time.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/clock_history.hpp"

namespace sluice {
namespace {

using std::chrono::time_point_cast;

/// Before there was a Sluice: a clock that says so has not been set.
constexpr WallTime unset_before{std::chrono::sys_days{std::chrono::year{2020} / 1 / 1}};

std::atomic<ClockHistory*> in_use{nullptr};

Now read_both() {
    return {time_point_cast<Millis>(std::chrono::steady_clock::now()),
            time_point_cast<Millis>(std::chrono::system_clock::now())};
}

Millis offset_of(Now now) {
    return now.wall.time_since_epoch() - now.mono.time_since_epoch();
}

Millis read_since_boot() {
    timespec time{};
    ::clock_gettime(CLOCK_BOOTTIME, &time);
    return std::chrono::duration_cast<Millis>(std::chrono::seconds(time.tv_sec) +
                                              std::chrono::nanoseconds(time.tv_nsec));
}

/// The clocks have moved apart: set, or asleep, or we were kept waiting between two readings, which is tried
/// again until they are close. Returns the offset that is expected from now on.
Millis look_closely() {
    constexpr Millis close{50};
    for (int attempt = 0; attempt < 10; ++attempt) {
        const Now now = read_both();
        const Millis since_boot = read_since_boot();
        if (read_both().mono - now.mono > close) continue;
        ClockHistory::instance().observe(since_boot, now.wall);
        return offset_of(now);
    }
    return offset_of(read_both());
}

}  // namespace

Now Now::read() {
    constexpr Millis never{Millis::min()};
    static std::atomic<Millis> expected{never};
    const Now now = read_both();
    const Millis wanted = expected.load(std::memory_order_relaxed);
    if (wanted == never || std::chrono::abs(offset_of(now) - wanted) >= ClockHistory::jump_min)
        expected.store(look_closely(), std::memory_order_relaxed);
    return now;
}

Millis age_of(WallTime since, WallTime now) {
    return ClockHistory::instance().age(since, now);
}

ClockHistory& ClockHistory::instance() {
    static ClockHistory own;
    ClockHistory* given = in_use.load(std::memory_order_relaxed);
    return given ? *given : own;
}

void ClockHistory::use(ClockHistory& history) {
    in_use.store(&history, std::memory_order_relaxed);
}

Millis ClockHistory::observe(Millis since_boot, WallTime wall) {
    const std::lock_guard lock(mutex_);
    const Millis offset = wall.time_since_epoch() - since_boot;
    if (!std::exchange(observed_, true)) {
        offset_ = offset;
        begin_ = wall - since_boot;  // for as far as we know it has not been set since
        return Millis(0);
    }
    const Millis by = offset - offset_;
    if (std::chrono::abs(by) < jump_min) return Millis(0);
    for (std::size_t i = earlier_; i < spans_.size(); ++i) spans_[i].behind += by;
    spans_.push_back({begin_, wall - by, by});
    if (spans_.size() > spans_max) {
        spans_.erase(spans_.begin());
        if (earlier_ > 0) --earlier_;
    }
    begin_ = wall;
    offset_ = offset;
    empty_.store(false, std::memory_order_relaxed);
    jumps_.fetch_add(1, std::memory_order_relaxed);
    return by;
}

/// The latest, where the clock has said the same more than once: nothing is dropped too early.
const ClockHistory::Span* ClockHistory::span_of(WallTime time) const {
    const auto found = std::find_if(spans_.rbegin(), spans_.rend(), [time](const Span& span) {
        return span.begin <= time && time <= span.end;
    });
    return found == spans_.rend() ? nullptr : &*found;
}

Millis ClockHistory::age(WallTime since, WallTime now) const {
    if (!empty_.load(std::memory_order_relaxed)) {
        const std::lock_guard lock(mutex_);
        const bool said_since_it_was_set = observed_ && begin_ <= since && since <= now;
        if (const Span* span = said_since_it_was_set ? nullptr : span_of(since))
            return now - since - span->behind;
    }
    return since < unset_before && now >= unset_before ? Millis(0) : now - since;
}

void ClockHistory::restore(std::vector<Span> spans) {
    const std::lock_guard lock(mutex_);
    spans_ = std::move(spans);
    earlier_ = spans_.size();
    empty_.store(spans_.empty(), std::memory_order_relaxed);
}

std::vector<ClockHistory::Span> ClockHistory::spans() const {
    const std::lock_guard lock(mutex_);
    return spans_;
}

}  // namespace sluice
