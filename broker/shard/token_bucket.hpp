#pragma once
/// TokenBucket: so many events per second, and a second's worth of them at once. Eight bytes; time is an
/// argument.
#include <algorithm>
#include <cstdint>

#include "base/clock.hpp"

namespace sluice::shard {

class TokenBucket {
  public:
    /// One event happens, at most `per_second` (1 to 1,000,000) of them. How long to wait before the next
    /// one: 0 when it may come at once.
    Millis take(MonoTime now, std::uint32_t per_second) {
        constexpr std::int64_t second_ns = 1'000'000'000, milli_ns = 1'000'000;
        const std::int64_t now_ns = now.time_since_epoch().count() * milli_ns;
        // The time up to which all events so far were worth waiting for; a full bucket is one second behind.
        paid_until_ns_ = std::max(paid_until_ns_, now_ns - second_ns) + second_ns / per_second;
        const std::int64_t ahead_ns = paid_until_ns_ - now_ns;
        return Millis(ahead_ns <= 0 ? 0 : (ahead_ns + milli_ns - 1) / milli_ns);
    }

  private:
    std::int64_t paid_until_ns_ = INT64_MIN / 2;
};

}  // namespace sluice::shard
