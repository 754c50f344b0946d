#pragma once
/// BrokerStats: the counters of all rooms as operators see them.
#include <atomic>
#include <memory>
#include <vector>

#include "app/bridge_set.hpp"
#include "app/shard_set.hpp"
#include "app/sys_topics.hpp"
#include "core/retained_index.hpp"
#include "listener/lobby.hpp"
#include "shard/stats.hpp"

namespace sluice::app {

class BrokerStats final : public shard::StatsSource {
  public:
    /// All outlive this.
    BrokerStats(const ShardSet& shards, const store::Store& store, const core::RetainedIndex& retained,
                const BridgeSet& bridges)
        : shards_(shards), store_(store), retained_(retained), bridges_(bridges) {}

    std::vector<shard::MetricSample> metrics() const override;
    std::vector<shard::BridgeStatus> bridges() const override;
    shard::Health health() const override;

    /// What the $SYS topics tell.
    SysNumbers sys_numbers() const;

    /// Once, before anybody asks.
    void set_lobby(std::shared_ptr<const listener::Lobby> lobby) { lobby_ = std::move(lobby); }
    void set_ready(bool ready) { ready_ = ready; }
    void set_live(bool live) { live_ = live; }
    /// limits.memory_max as it is in force; 0: no limit.
    void set_memory_max(std::uint64_t bytes) { memory_max_ = bytes; }
    /// What the start found damaged; stays an alarm until the next start.
    void set_damage(std::vector<std::string> damage) { damage_ = std::move(damage); }

  private:
    const ShardSet& shards_;
    const store::Store& store_;
    const core::RetainedIndex& retained_;
    const BridgeSet& bridges_;
    std::shared_ptr<const listener::Lobby> lobby_;
    std::atomic<bool> ready_{false};
    std::atomic<bool> live_{true};
    std::atomic<std::uint64_t> memory_max_{0};
    std::vector<std::string> damage_;  ///< set before anybody asks
};

}  // namespace sluice::app
