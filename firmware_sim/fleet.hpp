#pragma once
/// The fleet: all devices, driven by one thread, from the first connection to the last acknowledgement.
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "firmware_sim/device.hpp"
#include "firmware_sim/options.hpp"
#include "firmware_sim/replay.hpp"
#include "firmware_sim/tally.hpp"

namespace sluice::firmware {

class Fleet {
  public:
    /// `replay` is null for simulated readings. `interrupts` counts the user's Ctrl-C: the first ends the
    /// readings, the second also the waiting for acknowledgements.
    Fleet(const Options& options, std::unique_ptr<CsvReplay> replay, Tally& tally,
          const std::atomic<int>& interrupts);

    /// Returns when all is done; what was reached stands in the tally.
    void run();

  private:
    /// How often the devices are looked at; with the inflight limit it bounds the rate of one device.
    static constexpr Millis tick{5};
    static constexpr Millis journal_interval{50};

    bool produce(Now now);
    /// False when the file has ended.
    bool replay_due_rows(Now now);
    /// True when every device has taken as many readings as `--count` wants.
    bool count_reached() const;
    void turn(Now now);
    bool idle() const;
    void close();

    const Options& options_;
    std::unique_ptr<CsvReplay> replay_;
    Tally& tally_;
    const std::atomic<int>& interrupts_;
    MonoTime start_;
    MonoTime next_flush_{};
    MonoTime next_progress_{};
    ReplayPace pace_;
    std::optional<ReplayRow> row_;  ///< the next row of the replay
    std::int64_t row_due_ms_ = 0;
    std::uint64_t rows_ = 0;
    std::uint64_t rows_before_pass_ = 0;
    std::vector<std::unique_ptr<Device>> devices_;
};

}  // namespace sluice::firmware
