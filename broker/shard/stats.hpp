#pragma once
/// What operators may see. Collected on demand from relaxed counters; nothing here names a client or a topic
/// in a metric label.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::shard {

enum class MetricKind : std::uint8_t { counter, gauge };

/// One Prometheus sample: `sluice_` prefix, base units, counters end in `_total`.
struct MetricSample {
    std::string_view name;  ///< a literal: "sluice_messages_received_total"
    std::string_view help;  ///< a literal
    MetricKind kind = MetricKind::counter;
    std::string labels;  ///< `qos="1",shard="0"` or empty; values already escaped
    double value = 0;
};

/// From acknowledged progress and not from an open socket.
enum class BridgeState : std::uint8_t {
    connecting,   ///< the upstream cannot be reached
    connected,    ///< nothing waits
    progressing,  ///< messages wait, and the upstream confirms
    stalled,      ///< messages wait, and nothing is confirmed
    blocked,      ///< likewise, and the upstream says why: it makes us wait
    full,         ///< the spool has reached a bound, and does not get smaller
    paused,       ///< by an operator
    stopped
};
constexpr std::string_view name_of(BridgeState state) {
    constexpr std::string_view names[] = {"connecting", "connected", "progressing", "stalled",
                                          "blocked",    "full",      "paused",      "stopped"};
    return names[static_cast<unsigned>(state)];
}

struct BridgeStatus {
    std::string name, type;
    BridgeState state = BridgeState::connecting;
    std::string reason;             ///< why it is not connected; the last refusal
    std::uint64_t in_messages = 0;  ///< entered the spool since the start of the process
    std::uint64_t confirmed = 0;    ///< by the upstream
    std::uint64_t refused = 0;      ///< by the upstream, for good
    std::uint64_t redelivered = 0;  ///< offered again after a disconnect or restart
    std::uint64_t dropped = 0;      ///< by the spool's bounds: the sum of the next three
    std::uint64_t dropped_full = 0, dropped_expired = 0, dropped_other = 0;
    std::uint64_t retried = 0;         ///< offered again because the upstream did not take it then
    std::uint64_t replaced = 0;        ///< by a newer message of their topic (keep = "last_value")
    std::uint64_t dead = 0;            ///< dead letters now
    std::uint64_t dead_dropped = 0;    ///< dead letters pushed out by newer ones
    std::uint64_t thinned = 0;         ///< left out by sample, interval_min and rate_max; not in in_messages
    std::uint64_t spool_messages = 0;  ///< waiting, those in flight included
    std::uint64_t spool_bytes = 0;
    double oldest_age_s = 0;  ///< of the oldest waiting message; 0 when none
    double arrival_rate = 0;  ///< messages a second, over about the last minute
    double confirm_rate = 0;  ///< likewise
    /// At these rates; negative: never.
    double full_in_s = -1, empty_in_s = -1;
    // The down direction.
    bool has_down = false;
    std::string down_problem;          ///< empty: it receives
    std::uint64_t down_received = 0;   ///< from the upstream
    std::uint64_t down_kept = 0;       ///< durable here, and settled
    std::uint64_t down_refused = 0;    ///< not to be mapped to a topic, or too large
    std::uint64_t down_own = 0;        ///< had gone up from here, and were left out
    std::uint64_t down_unsettled = 0;  ///< now
};

struct Health {
    bool live = true;    ///< every thread of the broker turns
    bool ready = false;  ///< listening, store open
    std::vector<std::string>
        alarms;  ///< one line each: "store: disk full, commits wait"; empty when all is well
};

/// What the admin room asks. Any thread; implementations do not block on shards.
class StatsSource {
  public:
    virtual ~StatsSource() = default;
    virtual std::vector<MetricSample> metrics() const = 0;
    virtual std::vector<BridgeStatus> bridges() const = 0;
    virtual Health health() const = 0;
};

}  // namespace sluice::shard
