#pragma once
/// Lane: a Link whose far end is a connector. One per route and shard; its session's queue is the spool.
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "bridge/connector.hpp"
#include "bridge/drain_pace.hpp"
#include "bridge/settings.hpp"
#include "shard/link.hpp"

namespace sluice::bridge {

/// What a lane tells operators. Written by its shard's thread, read by anybody.
struct LaneStats {
    std::atomic<std::uint64_t> offered{0};  ///< first offers to the connector
    std::atomic<std::uint64_t> confirmed{0};
    std::atomic<std::uint64_t> refused{0};
    std::atomic<std::uint64_t> redelivered{0};
    std::atomic<std::uint64_t> dropped_full{0}, dropped_expired{0}, dropped_other{0};
    std::atomic<std::uint64_t> replaced{0};  ///< by newer ones of their topic
    std::atomic<std::uint64_t> thinned{0};   ///< left out by the route's thinning, before the spool
    std::atomic<std::uint64_t> backlog_messages{0};
    std::atomic<std::uint64_t> backlog_bytes{0};
    std::atomic<std::int64_t> oldest_wall_ms{0};  ///< when the oldest waiting message came; 0: none
    std::atomic<std::int64_t> progress_mono_ms{
        0};  ///< when the upstream last confirmed something, or had nothing to
};

/// Where a lane's messages go; safe from any thread.
class Upstream {
  public:
    virtual ~Upstream() = default;
    virtual void offer(std::uint64_t epoch, std::vector<Outgoing> batch) = 0;
};

struct LaneSpec {
    shard::LinkNumber number = 0;
    std::uint32_t route = 0;
    std::uint16_t inflight_max = 1000;
    std::shared_ptr<DrainPace> pace = std::make_shared<DrainPace>(0);  ///< of the whole bridge
    std::string route_name;                                            ///< for dead letters
    shard::LinkNumber dead = 0;  ///< the queue of dead letters on this shard; 0: there is none
    std::string label;           ///< "bridge 'plant', route 'telemetry'", for the log
};

class Lane final : public shard::Link {
  public:
    Lane(LaneSpec spec, shard::LinkHost& host, std::shared_ptr<Upstream> upstream,
         std::shared_ptr<LaneStats> stats);

    Delivered deliver(const core::Send& send) override;
    void flush(Now now) override;
    void end(wire::ReasonCode reason) override;
    void on_note(shard::LinkNote note) override;
    void on_backlog(const shard::Backlog& backlog) override;
    void on_drop(core::DropReason reason) override;
    void on_tick(Now now) override;
    void on_replaced() override { stats_.replaced.fetch_add(1, std::memory_order_relaxed); }

  private:
    void on_up(std::uint64_t epoch);
    void on_down();
    void on_confirmed(const shard::UpstreamConfirmed& note);
    void note_progress(Now now);
    void bury(const core::Message& message, const std::string& reason, Now now);
    std::uint64_t tag_of(wire::PacketId packet_id) const { return epoch_ << 16 | packet_id; }

    const LaneSpec spec_;
    shard::LinkHost& host_;
    const std::shared_ptr<Upstream> upstream_;
    const std::shared_ptr<LaneStats> stats_owner_;
    LaneStats& stats_;
    bool up_ = false;
    /// Counts the times that the upstream came up: a confirm of an earlier time must not settle a message of
    /// this one that has got the same packet id.
    std::uint64_t epoch_ = 0;
    std::vector<Outgoing> batch_;  ///< delivered by the session, not yet offered
    /// Delivered and not offered: an outage, or the drain rate, has outlasted their expiry. Settled at the
    /// next tick, since a turn that ends takes no acknowledgements.
    std::vector<wire::PacketId> expired_;
    std::unordered_map<wire::PacketId, core::MessagePtr> in_flight_;  ///< offered; kept for dead letters
    bool paused_ = false;                                             ///< by an operator
    LanePace pace_;  ///< holds back since the upstream came up, until nothing waits
};

}  // namespace sluice::bridge
