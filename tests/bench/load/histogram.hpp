#pragma once
/// A histogram of durations with a constant relative error: 32 buckets to each power of two (about 3 %).
#include <array>
#include <bit>
#include <cstdint>

namespace bench {

class Histogram {
  public:
    void add(std::uint64_t nanoseconds) {
        ++counts_[bucket_of(nanoseconds)];
        ++total_;
    }
    std::uint64_t total() const { return total_; }

    /// The upper bound, in ns, of the bucket below which the share `quantile` (0 to 1) of all values lies;
    /// 0 when there are none.
    std::uint64_t at(double quantile) const {
        const auto wanted = static_cast<std::uint64_t>(quantile * static_cast<double>(total_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen > wanted || (seen == total_ && total_ > 0)) return upper_bound_of(i);
        }
        return 0;
    }

  private:
    static constexpr unsigned steps_log2 = 5;
    static constexpr std::uint64_t steps = 1U << steps_log2;

    static std::size_t bucket_of(std::uint64_t value) {
        if (value < steps) return value;
        const auto shift = static_cast<unsigned>(std::bit_width(value)) - steps_log2 - 1;
        return (shift + 1) * steps + ((value >> shift) - steps);
    }
    static std::uint64_t upper_bound_of(std::size_t bucket) {
        if (bucket < steps) return bucket;
        const auto shift = static_cast<unsigned>(bucket / steps) - 1;
        return ((bucket % steps + steps + 1) << shift) - 1;
    }

    std::array<std::uint64_t, (64 - steps_log2 + 1) * steps> counts_{};
    std::uint64_t total_ = 0;
};

}  // namespace bench
