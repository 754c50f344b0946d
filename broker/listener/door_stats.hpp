#pragma once
/// Who was turned away at the doors, and why: counted, and told in the log as often as a log can bear.
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "base/clock.hpp"
#include "base/log.hpp"

namespace sluice::listener {

enum class TurnedAway : std::uint8_t {
    not_a_proxy,      ///< not in listener.proxy_from
    address_full,     ///< limits.connections_per_address_max
    newcomers_full,   ///< limits.handshakes_max, or too much is kept for newcomers: somebody gives way
    descriptors,      ///< the process may open no more files
    connect_timeout,  ///< limits.connect_timeout
    broke_off,        ///< the connection ended: by the peer, or by a fault in TLS, WebSocket or PROXY header
    no_connect,       ///< the first packet is something else
    refused,          ///< CONNECT was answered with a reason code, or could not be read; and none of the next
    logins_full,      ///< too many logins wait for their password check, from its address or in all
    guesses,          ///< after many wrong passwords too many logins of its address wait for their answer
};
constexpr std::size_t turned_away_count = 10;
constexpr std::string_view name_of(TurnedAway why) {
    constexpr std::string_view names[turned_away_count] = {
        "not_a_proxy", "address_full", "newcomers_full", "descriptors", "connect_timeout",
        "broke_off",   "no_connect",   "refused",        "logins_full", "guesses"};
    return names[static_cast<unsigned>(why)];
}

/// Lets a few lines through at once and then so many in a second: a flood cannot fill the journal, and single
/// events all stand in it. Any thread.
class LineBudget {
  public:
    static constexpr int burst = 20;
    static constexpr int per_second = 10;
    /// As log::RateLimit.
    bool allow(MonoTime now, std::uint64_t& suppressed);

  private:
    std::mutex mutex_;
    double left_ = burst;
    MonoTime last_{};
    std::uint64_t suppressed_ = 0;
};

/// Any thread.
class DoorStats {
  public:
    void note_accepted() { accepted_.fetch_add(1, std::memory_order_relaxed); }
    std::uint64_t accepted() const { return accepted_.load(std::memory_order_relaxed); }

    /// Counts, and writes the line unless there were too many of its kind.
    void turn_away(TurnedAway why, log::Level level, std::string_view line);
    /// Writes the line, unless there were too many of them: clients may come and go in a circle.
    void note_let_in(std::string_view line);
    /// Counts an answer that is held back (GuessDamper), and writes the line unless there were too many.
    void note_held_back(std::string_view line);
    std::uint64_t held_back() const { return held_back_.load(std::memory_order_relaxed); }
    std::uint64_t turned_away(TurnedAway why) const {
        return turned_away_[static_cast<unsigned>(why)].load(std::memory_order_relaxed);
    }

  private:
    static void write_within(LineBudget& budget, log::Level level, std::string_view line);

    std::atomic<std::uint64_t> accepted_{0};
    std::array<std::atomic<std::uint64_t>, turned_away_count> turned_away_{};
    std::array<LineBudget, turned_away_count> lines_;
    std::atomic<std::uint64_t> held_back_{0};
    LineBudget let_in_lines_, held_back_lines_;
};

}  // namespace sluice::listener
