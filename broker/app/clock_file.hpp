#pragma once
/// ClockFile: what was wrong about the clock, kept over restarts of the broker.
#include <cstdint>
#include <string>

namespace sluice::app {

/// The file `clock.history` in `data_dir`: a line for each span of the process's ClockHistory, "BEGIN END
/// BEHIND", milliseconds, the first two since 1970. There is none before the clock was set for the first
/// time.
class ClockFile {
  public:
    ClockFile() = default;  ///< keeps nothing
    /// Reads what is there; a damaged file is left out, with a line in the log. Before Now::read() is first
    /// called by other threads.
    explicit ClockFile(const std::string& data_dir);
    /// When the clock has been set since the last time, tells it in the log and writes the file. Any one
    /// thread, every few seconds.
    void keep();

  private:
    std::string path_;
    std::uint64_t kept_ = 0;  ///< jumps
};

}  // namespace sluice::app
