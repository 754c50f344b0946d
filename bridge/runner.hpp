#pragma once
/// BridgeRunner: one `[[bridge]]` at work: its connector, and a lane per route on every shard.
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bridge/connector.hpp"
#include "bridge/lane.hpp"
#include "bridge/settings.hpp"
#include "bridge/thinning.hpp"
#include "shard/inlet.hpp"
#include "shard/stats.hpp"

namespace sluice::bridge {

class BridgeRunner final : private ConnectorEvents, private Upstream {
  public:
    /// `inlets` outlives this. `origin`: this gateway, as ConnectorSpec has it. The conditions of the routes
    /// have been parsed before: `create` is the one way to make a runner.
    static Result<std::unique_ptr<BridgeRunner>, std::string> create(BridgeSettings settings,
                                                                     const ConnectorModule& module,
                                                                     shard::InletSet& inlets,
                                                                     const std::string& origin);
    ~BridgeRunner() override;

    /// Puts the lanes on the shards, then starts the connector. `first_number`: link numbers from here on are
    /// ours, as many as link_count() says. `recovered`: client ids of all sessions the store knew; a spool of
    /// a shard that no longer exists is drained too.
    void start(shard::LinkNumber first_number, const std::vector<std::string>& recovered);
    std::size_t link_count() const { return lanes_.size(); }
    /// Stops the connector; the spool stays. Call before the shards stop.
    void stop();

    /// Any thread.
    shard::BridgeStatus status() const;

  private:
    struct LaneRecord {
        std::string name;
        shard::LinkNumber number = 0;
        std::uint32_t route = 0;
        std::size_t shard = 0;
        LaneStats stats;
    };

    BridgeRunner(BridgeSettings settings, shard::InletSet& inlets)
        : settings_(std::move(settings)), inlets_(inlets) {}

    // ConnectorEvents, on the connector's thread
    void on_up(std::uint64_t epoch) override;
    void on_down(const std::string& reason) override;
    void on_confirm(std::span<const Confirm> confirms) override;
    void on_stalled(const std::string& reason) override;
    // Upstream, on shard threads
    void offer(std::uint64_t epoch, std::vector<Outgoing> batch) override {
        connector_->offer(epoch, std::move(batch));
    }

    void add_lane(std::uint32_t route, std::size_t shard, std::size_t spool, bool subscribes);
    core::QueueBounds bounds_per_lane() const;
    ThinningRules thinning_per_lane(const RouteSettings& route) const;
    void tell_all(const shard::LinkNote& note);
    void set_reason(const std::string& reason);

    const BridgeSettings settings_;
    shard::InletSet& inlets_;
    std::unique_ptr<Connector> connector_;
    std::vector<std::shared_ptr<const Condition>> conditions_;  ///< by route; none: all pass
    shard::LinkNumber first_number_ = 0;
    std::vector<std::unique_ptr<LaneRecord>> lanes_;  ///< complete before the connector starts
    std::atomic<bool> up_{false};
    std::atomic<bool> stalled_{false};  ///< the connector says so
    bool stopped_ = false;
    mutable std::mutex reason_mutex_;
    std::string reason_;  ///< why it is down, or the last refusal
};

}  // namespace sluice::bridge
