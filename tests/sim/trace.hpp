#pragma once
/// Trace: all that happens in a run, as lines to read and as one number to compare.
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "tests/sim/time.hpp"

namespace sluice::sim {

class Trace {
  public:
    explicit Trace(bool prints) : prints_(prints) {}

    /// `what` with the numbers that belong to it.
    template <class... Numbers>
    void note(std::string_view what, Numbers... numbers) {
        for (const char c : what) absorb(static_cast<std::uint8_t>(c));
        (absorb(static_cast<std::uint64_t>(numbers)), ...);
        if (!prints_) return;
        std::printf("%6llu %6lld ms  %.*s", static_cast<unsigned long long>(step_),
                    static_cast<long long>(time_ms()), int(what.size()), what.data());
        (std::printf(" %lld", static_cast<long long>(numbers)), ...);
        std::printf("\n");
    }
    bool prints() const { return prints_; }
    /// Steps are what the simulation decides, one after the other.
    void next_step() { ++step_; }
    std::uint64_t step() const { return step_; }
    std::uint64_t hash() const { return hash_; }

    /// The first thing that must not be; the run ends with it.
    void violation(std::string text) {
        if (violation_.empty()) violation_ = std::move(text);
    }
    const std::string& violation() const { return violation_; }
    bool broken() const { return !violation_.empty(); }

  private:
    void absorb(std::uint64_t word) { hash_ = (hash_ ^ word) * 0x100000001b3ULL ^ (hash_ >> 29); }

    const bool prints_;
    std::uint64_t step_ = 0;
    std::uint64_t hash_ = 0xcbf29ce484222325ULL;
    std::string violation_;
};

}  // namespace sluice::sim
