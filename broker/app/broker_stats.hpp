#pragma once
/// BrokerStats: the counters of all rooms as operators see them.
#include <atomic>
#include <memory>
#include <vector>

#include "app/shard_set.hpp"
#include "bridge/runner.hpp"
#include "core/retained_index.hpp"
#include "shard/stats.hpp"

namespace sluice::app {

class BrokerStats final : public shard::StatsSource {
  public:
    /// All outlive this.
    BrokerStats(const ShardSet& shards, const store::Store& store, const core::RetainedIndex& retained,
                const std::vector<std::unique_ptr<bridge::BridgeRunner>>& bridges)
        : shards_(shards), store_(store), retained_(retained), bridges_(bridges) {}

    std::vector<shard::MetricSample> metrics() const override;
    std::vector<shard::BridgeStatus> bridges() const override;
    shard::Health health() const override;

    void set_ready(bool ready) { ready_ = ready; }
    void set_live(bool live) { live_ = live; }
    /// What the start found damaged; stays an alarm until the next start.
    void set_damage(std::vector<std::string> damage) { damage_ = std::move(damage); }

  private:
    const ShardSet& shards_;
    const store::Store& store_;
    const core::RetainedIndex& retained_;
    const std::vector<std::unique_ptr<bridge::BridgeRunner>>& bridges_;
    std::atomic<bool> ready_{false};
    std::atomic<bool> live_{true};
    std::vector<std::string> damage_;  ///< set before anybody asks
};

}  // namespace sluice::app
