#pragma once
/// PowerCut: a process that loses, with its life, what it has written and not synced.
#include <cstdint>
#include <filesystem>
#include <random>

namespace sluice::test {

/// In the log of power_cut_layer.cpp, followed by the bytes before and after.
struct UnsyncedWrite {
    std::uint64_t offset = 0;       ///< of a truncation: the new size
    std::uint64_t size_before = 0;  ///< of the file
    std::uint64_t before_bytes = 0, after_bytes = 0;
    std::uint64_t truncates = 0;
};

class PowerCut {
  public:
    /// The processes that are started while it lives write below `data` under the layer.
    PowerCut(std::filesystem::path data, std::filesystem::path log);
    ~PowerCut();
    PowerCut(const PowerCut&) = delete;
    PowerCut& operator=(const PowerCut&) = delete;

    /// After the process was killed: of what it had not synced each write has reached the disk, or a part of
    /// it, or nothing, whichever `random` says. Returns how many there were.
    std::size_t lose_unsynced(std::mt19937& random);

  private:
    const std::filesystem::path data_, log_;
};

}  // namespace sluice::test
