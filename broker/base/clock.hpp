#pragma once
/// Time as an argument: below the shard nobody asks a clock, everybody is told what time it is.
#include <chrono>
#include <cstdint>

namespace sluice {

using Millis = std::chrono::milliseconds;
/// Never jumps; for deadlines. Means nothing after a restart.
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, Millis>;
/// May jump; for what is kept on disk and compared after a restart (expiry).
using WallTime = std::chrono::time_point<std::chrono::system_clock, Millis>;

/// One reading of both clocks; a shard takes one per turn.
struct Now {
    MonoTime mono{};
    WallTime wall{};

    /// Notes it in the ClockHistory when the wall clock has been set.
    static Now read();
};

/// How long ago it was that the clock said `since`, when it says `now`. Right also when it was set in between
/// (see ClockHistory). A time before the clock was set at all, of which nothing more is known, is 0.
Millis age_of(WallTime since, WallTime now);

}  // namespace sluice
