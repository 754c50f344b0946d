#pragma once
/// Backoff: how long to wait before the next attempt, doubling, with jitter.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/hash.hpp"

namespace sluice::bridge {

/// A seed for Backoff: another one on every gateway, for every bridge and in every life.
inline std::uint64_t backoff_seed(std::string_view name) {
    return stable_hash(name) ^ static_cast<std::uint64_t>(::getpid()) ^
           static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
}

/// Not thread-safe; belongs to whoever makes the attempts.
class Backoff {
  public:
    struct Limits {
        std::chrono::milliseconds first{500};
        std::chrono::milliseconds longest{30'000};
    };

    /// `seed` should differ between gateways: a thousand of them must not come back in step after an outage.
    explicit Backoff(std::uint64_t seed) : Backoff(seed, Limits{}) {}
    Backoff(std::uint64_t seed, Limits limits) : limits_(limits), base_(limits.first), state_(seed * 2 + 1) {}

    /// The wait before the next attempt: between half and all of the current step; then the step doubles.
    std::chrono::milliseconds next() {
        const auto half = base_.count() / 2;
        const auto jitter = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(half + 1));
        base_ = std::min(base_ * 2, limits_.longest);
        return std::chrono::milliseconds(half + jitter);
    }
    /// Called when something has been confirmed, not already when a connection stands: an upstream that takes
    /// connections and nothing else must not be called twice a second for ever.
    void reset() { base_ = limits_.first; }

  private:
    std::uint64_t random() {  // splitmix64
        state_ += 0x9e3779b97f4a7c15ULL;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }

    Limits limits_;
    std::chrono::milliseconds base_;
    std::uint64_t state_;
};

}  // namespace sluice::bridge
