#pragma once
/// MemoryWatch: how close the broker is to limits.memory_max, as one shard sees it. One thread; the time and
/// the bytes are arguments.
#include <cstdint>

#include "base/clock.hpp"

namespace sluice::shard {

class MemoryWatch {
  public:
    enum class Level : std::uint8_t {
        plenty,
        tight,  ///< from 7/8 of the budget: who does not keep up gets no QoS 0, persistent queues stay on
                ///< disk
        full,   ///< from the budget on: publishers are slowed, queues in memory do not grow
    };

    Level level() const { return level_; }
    /// Half of the budget beyond it: even what comes in slowly is too much.
    bool over() const { return over_; }
    /// Whether it is time to look again; `grown`: bytes that the thread has ever added.
    bool due(MonoTime now, std::uint64_t grown) const { return now >= next_look_ || grown >= next_grown_; }
    /// `bytes` are held; `bytes_max` may be, 0: any number. Returns true when the level has changed. A level
    /// is left only an eighth of the budget below where it began, so that it does not flutter.
    bool look(MonoTime now, std::uint64_t grown, std::uint64_t bytes, std::uint64_t bytes_max) {
        next_look_ = now + interval;
        next_grown_ = bytes_max == 0 ? UINT64_MAX : grown + bytes_max / 64;
        over_ = bytes_max != 0 && bytes >= bytes_max + bytes_max / 2;
        const Level before = level_;
        const std::uint64_t eighth = bytes_max / 8;
        if (bytes_max == 0) {
            level_ = Level::plenty;
        } else if (bytes >= bytes_max || (before == Level::full && bytes >= bytes_max - eighth)) {
            level_ = Level::full;
        } else if (bytes >= bytes_max - eighth ||
                   (before >= Level::tight && bytes >= bytes_max - 2 * eighth)) {
            level_ = Level::tight;
        } else {
            level_ = Level::plenty;
        }
        return level_ != before;
    }

  private:
    /// What other threads bring meanwhile is seen with the next look; what this one brings, at once: a turn
    /// has only one time.
    static constexpr Millis interval{10};

    Level level_ = Level::plenty;
    bool over_ = false;
    MonoTime next_look_{};
    std::uint64_t next_grown_ = 0;
};

}  // namespace sluice::shard
