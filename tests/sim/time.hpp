#pragma once
/// The clock and the entropy of this program. Its own definitions of clock_gettime() and of the words of
/// std::random_device stand before those of the libraries, so that everything in the process (shards, Asio's
/// timers, the store's window, SQLite) lives in a time that passes only when the simulation says so, and
/// hashes with the same keys each time. The product has no seam for it and pays nothing.
#include <cstdint>

namespace sluice::sim {

/// The beginning of a run.
void reset_time();
void pass_time_ms(std::int64_t ms);
/// Since the beginning of the run.
std::int64_t time_ms();
/// How long this program really runs, in CPU milliseconds.
std::int64_t cpu_ms();

}  // namespace sluice::sim
