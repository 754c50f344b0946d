#include "listener/door_stats.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::listener {

bool LineBudget::allow(MonoTime now, std::uint64_t& suppressed) {
    const std::lock_guard lock(mutex_);
    const auto passed = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    left_ = std::min<double>(burst, left_ + passed * per_second);
    if (left_ < 1) {
        ++suppressed_;
        return false;
    }
    left_ -= 1;
    suppressed = suppressed_;
    suppressed_ = 0;
    return true;
}

void DoorStats::turn_away(TurnedAway why, log::Level level, std::string_view line) {
    const auto index = static_cast<unsigned>(why);
    turned_away_[index].fetch_add(1, std::memory_order_relaxed);
    write_within(lines_[index], level, line);
}

void DoorStats::note_let_in(std::string_view line) {
    write_within(let_in_lines_, log::Level::info, line);
}

void DoorStats::note_held_back(std::string_view line) {
    held_back_.fetch_add(1, std::memory_order_relaxed);
    write_within(held_back_lines_, log::Level::warn, line);
}

void DoorStats::write_within(LineBudget& budget, log::Level level, std::string_view line) {
    if (!log::enabled(level)) return;
    std::uint64_t suppressed = 0;
    if (!budget.allow(Now::read().mono, suppressed)) return;
    log::write(level, suppressed == 0
                          ? std::string(line)
                          : fmt::format("{} ({} more such lines were held back before)", line, suppressed));
}

}  // namespace sluice::listener
