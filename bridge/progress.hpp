#pragma once
/// Progress: how fast messages come and go, over about the last minute.
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.hpp"

namespace sluice::bridge {

/// One thread at a time.
class Progress {
  public:
    /// Counts since any beginning, which never fall. `confirmed`: or what else counts as gone.
    void add(MonoTime now, std::uint64_t arrived, std::uint64_t confirmed) {
        samples_[next_ % samples_.size()] = {now, arrived, confirmed};
        ++next_;
    }
    /// Messages a second; 0 before there are two samples.
    double arrival_rate() const { return rate(&Sample::arrived); }
    double confirm_rate() const { return rate(&Sample::confirmed); }

  private:
    struct Sample {
        MonoTime at{};
        std::uint64_t arrived = 0, confirmed = 0;
    };
    double rate(std::uint64_t Sample::*count) const {
        if (next_ < 2) return 0;
        const Sample& last = samples_[(next_ - 1) % samples_.size()];
        const Sample& first = samples_[next_ > samples_.size() ? next_ % samples_.size() : 0];
        const double seconds = std::chrono::duration<double>(last.at - first.at).count();
        if (seconds <= 0 || last.*count < first.*count) return 0;
        return static_cast<double>(last.*count - first.*count) / seconds;
    }

    std::array<Sample, 13> samples_{};  ///< every 5 s: a minute
    std::size_t next_ = 0;
};

}  // namespace sluice::bridge
