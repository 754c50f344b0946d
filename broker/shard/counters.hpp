#pragma once
/// Counters of one shard: written by its thread only, read by anybody.
#include <array>
#include <atomic>
#include <cstdint>

#include "core/effects.hpp"
#include "shard/refusal.hpp"

namespace sluice::shard {

/// One writer, so a plain load and store do instead of a locked add.
class Counter {
  public:
    void add(std::uint64_t n = 1) {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void sub(std::uint64_t n = 1) {
        value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
    }
    void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
    void raise_to(std::uint64_t n) {
        if (n > get()) set(n);
    }
    std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

struct Counters {
    Counter connections;                 ///< now
    Counter connections_seen;            ///< since the start
    Counter connections_refused;         ///< limits.connections_max
    Counter connections_without_memory;  ///< refused: limits.memory_max
    Counter ended_for_memory;   ///< disconnected: they held memory when limits.memory_max was reached
    Counter takeovers_delayed;  ///< of one client id too often in a short time
    Counter sessions;           ///< now, detached ones included
    Counter bridge_sessions;    ///< of these, the spools of bridges
    Counter sessions_expired;
    Counter sessions_of_others;    ///< not given to another user, but ended
    Counter subscriptions;         ///< now
    Counter shared_subscriptions;  ///< of these, members of a group
    Counter bytes_received, bytes_sent;
    Counter packets_received, packets_sent;              ///< of any type
    std::array<Counter, 3> publishes_received;           ///< by QoS
    std::array<Counter, 3> publishes_sent;               ///< by QoS
    Counter publish_bytes_received, publish_bytes_sent;  ///< payloads
    std::array<Counter, core::drop_reason_count> drops;
    Counter not_authorized;                       ///< publishes and subscriptions refused
    std::array<Counter, refusal_count> refusals;  ///< by Refusal
    Counter publishers_paced;                     ///< pauses for limits.publish_rate_max
    Counter publishers_slowed;                    ///< pauses for limits.memory_max
    Counter reauth_refused;                       ///< clients that failed to authenticate again
    Counter protocol_errors;
    Counter retained_expired;  ///< by the shard that looks for them
    Counter rejected;          ///< publishes answered with quota exceeded
    Counter handovers;   ///< messages of shared subscriptions that an ended session left to other members
    Counter mail_drops;  ///< QoS 0 that another shard was too far behind for
    Counter turns;
    Counter turn_ms_max;  ///< the longest turn
    Counter pings;        ///< signs of life given
};

}  // namespace sluice::shard
