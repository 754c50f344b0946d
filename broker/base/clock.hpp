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

    static Now read() {
        return {std::chrono::time_point_cast<Millis>(std::chrono::steady_clock::now()),
                std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now())};
    }
};

}  // namespace sluice
