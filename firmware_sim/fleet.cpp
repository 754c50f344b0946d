#include "firmware_sim/fleet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

namespace sluice::firmware {

Fleet::Fleet(const Options& options, std::unique_ptr<CsvReplay> replay, Tally& tally,
             const std::atomic<int>& interrupts)
    : options_(options),
      replay_(std::move(replay)),
      tally_(tally),
      interrupts_(interrupts),
      start_(Now::read().mono),
      pace_(options.rate * options.devices, options.speed) {
    for (int number = 1; number <= options.devices; ++number) {
        devices_.push_back(std::make_unique<Device>(options, number, start_, tally));
    }
}

void Fleet::run() {
    const auto seconds_ms = static_cast<Millis::rep>(options_.seconds * 1000);
    while (interrupts_ == 0) {
        const Now now = Now::read();
        if (seconds_ms > 0 && now.mono >= start_ + Millis(seconds_ms)) break;
        if (!produce(now)) break;
        turn(now);
        std::this_thread::sleep_for(tick);
    }
    const MonoTime give_up = Now::read().mono + Millis(static_cast<Millis::rep>(options_.drain_s * 1000));
    while (interrupts_ < 2 && !idle()) {
        const Now now = Now::read();
        if (now.mono >= give_up) break;
        turn(now);
        std::this_thread::sleep_for(tick);
    }
    close();
}

bool Fleet::produce(Now now) {
    if (replay_) return replay_due_rows(now) && !count_reached();
    for (const auto& device : devices_) device->measure(now);
    return !count_reached();
}

bool Fleet::count_reached() const {
    return options_.count > 0 && std::all_of(devices_.begin(), devices_.end(), [&](const auto& device) {
               return device->measured() >= options_.count;
           });
}

bool Fleet::replay_due_rows(Now now) {
    const std::int64_t elapsed_ms = (now.mono - start_).count();
    for (;;) {
        if (!row_) {
            row_ = replay_->next();
            if (!row_ && options_.loop && rows_ > rows_before_pass_) {
                replay_->rewind();
                pace_.restart();
                rows_before_pass_ = rows_;
                row_ = replay_->next();
            }
            if (!row_) return false;
            row_due_ms_ = pace_.due_ms(*row_);
        }
        if (row_due_ms_ > elapsed_ms) return true;
        // A row waits for its device rather than go to another or be dropped: the file is published whole.
        if (!devices_[rows_ % devices_.size()]->submit(row_->members, now.wall)) return true;
        ++rows_;
        row_.reset();
    }
}

void Fleet::turn(Now now) {
    for (const auto& device : devices_) device->step(now);
    if (now.mono >= next_flush_) {
        tally_.flush();
        next_flush_ = now.mono + journal_interval;
    }
    if (options_.progress_s > 0 && now.mono >= next_progress_) {
        fmt::print("{}\n", progress_line(tally_.counts()));
        std::fflush(stdout);
        next_progress_ = now.mono + Millis(static_cast<Millis::rep>(options_.progress_s * 1000));
    }
}

bool Fleet::idle() const {
    return std::all_of(devices_.begin(), devices_.end(), [](const auto& device) { return device->idle(); });
}

void Fleet::close() {
    // One patience for the whole fleet, not one per device.
    const MonoTime give_up = Now::read().mono + Millis(3000);
    const auto left = [&] { return std::max(Millis(1), give_up - Now::read().mono); };
    for (const auto& device : devices_) device->say_goodbye();
    for (const auto& device : devices_) device->disconnect(left());
    for (const auto& device : devices_) device->await_disconnected(left());
    devices_.clear();
    tally_.flush();
}

}  // namespace sluice::firmware
