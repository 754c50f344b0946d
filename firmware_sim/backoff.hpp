#pragma once
/// How long a device pauses between two attempts to connect.
#include <algorithm>
#include <cstdint>
#include <random>

#include "base/clock.hpp"

namespace sluice::firmware {

/// Doubles from attempt to attempt up to a limit; half of each pause is random, so that a fleet whose broker
/// came back does not knock all at once.
class Backoff {
  public:
    static constexpr Millis first{200};

    Backoff(Millis longest, std::uint64_t seed) : longest_(std::max(longest, first)), random_(seed) {}

    Millis next() {
        const auto half = pause_.count() / 2;
        const Millis result{half + std::uniform_int_distribution<Millis::rep>(0, half)(random_)};
        pause_ = std::min(pause_ * 2, longest_);
        return result;
    }
    void reset() { pause_ = first; }

  private:
    Millis longest_;
    Millis pause_ = first;
    std::mt19937_64 random_;
};

}  // namespace sluice::firmware
