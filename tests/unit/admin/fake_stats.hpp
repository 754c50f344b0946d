#pragma once
/// A broker as the operators see it, made up.
#include <mutex>

#include "shard/stats.hpp"

namespace sluice::admin {

class FakeStats : public shard::StatsSource {
  public:
    FakeStats() {
        using shard::MetricKind;
        samples_ = {{"sluice_connections", "Connections now.", MetricKind::gauge, "shard=\"0\"", 2},
                    {"sluice_messages_received_total", "Messages in.", MetricKind::counter, "qos=\"1\"", 7},
                    {"sluice_connections", "Connections now.", MetricKind::gauge, "shard=\"1\"", 3},
                    {"sluice_store_bytes", "Bytes\\on\ndisk.", MetricKind::gauge, "", 2.5e6}};
        shard::BridgeStatus plant;
        plant.name = "plant";
        plant.type = "kafka";
        plant.state = shard::BridgeState::stalled;
        plant.reason = "no acknowledgement\nfor 30 s";
        plant.in_messages = 10;
        plant.confirmed = 4;
        plant.refused = 1;
        plant.redelivered = 2;
        plant.dropped = 3;
        plant.thinned = 5;
        plant.spool_messages = 6;
        plant.spool_bytes = 3 << 20;
        plant.oldest_age_s = 7300.5;
        plant.dropped_full = 2;
        plant.dropped_expired = 1;
        plant.retried = 8;
        plant.replaced = 9;
        plant.dead = 5;
        plant.dead_dropped = 7;
        plant.arrival_rate = 2.5;
        plant.full_in_s = 3 * 3600;
        bridges_ = {plant};
        health_.ready = true;
    }

    std::vector<shard::MetricSample> metrics() const override { return locked(samples_); }
    std::vector<shard::BridgeStatus> bridges() const override { return locked(bridges_); }
    shard::Health health() const override { return locked(health_); }

    void set_health(shard::Health health) {
        const std::lock_guard lock(mutex_);
        health_ = std::move(health);
    }
    void set_bridges(std::vector<shard::BridgeStatus> bridges) {
        const std::lock_guard lock(mutex_);
        bridges_ = std::move(bridges);
    }

  private:
    template <class T>
    T locked(const T& value) const {
        const std::lock_guard lock(mutex_);
        return value;
    }

    mutable std::mutex mutex_;
    std::vector<shard::MetricSample> samples_;
    std::vector<shard::BridgeStatus> bridges_;
    shard::Health health_;
};

}  // namespace sluice::admin
