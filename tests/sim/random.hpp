#pragma once
/// Random: all that is left to chance in a run, from its seed (splitmix64: the same on every machine).
#include <cstdint>

namespace sluice::sim {

class Random {
  public:
    /// Seeds that follow each other have nothing in common.
    explicit Random(std::uint64_t seed) : state_(seed) { state_ = next() ^ seed << 32; }

    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    /// 0 to n - 1; `n` is not 0.
    std::uint64_t below(std::uint64_t n) { return next() % n; }
    std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
    bool one_in(std::uint64_t n) { return below(n) == 0; }
    bool percent(std::uint64_t n) { return below(100) < n; }
    template <class T, std::size_t n>
    const T& of(const T (&choices)[n]) {
        return choices[below(n)];
    }

  private:
    std::uint64_t state_;
};

}  // namespace sluice::sim
