#pragma once
/// Upstream: what the lanes of a bridge send to. Confirms late and in any order; refuses now and then, and
/// goes away and comes back. Outlives the broker's processes.
#include <map>
#include <string>
#include <vector>

#include "bridge/lane.hpp"
#include "tests/sim/oracle.hpp"
#include "tests/sim/random.hpp"

namespace sluice::sim {

class Upstream final : public bridge::Upstream {
  public:
    Upstream(Oracle& oracle, Trace& trace) : oracle_(oracle), trace_(trace) {}

    // bridge::Upstream; in a turn of the lane's shard
    void offer(std::uint64_t epoch, std::vector<bridge::Outgoing> batch) override;

    /// The broker's process ends: what was offered is taken for good, and nobody hears of it.
    void broker_ended();
    void lane_added(shard::LinkNumber number, std::string name) { lanes_[number].name = std::move(name); }
    std::size_t lanes() const { return lanes_.size(); }
    shard::LinkNumber lane_at(std::size_t index) const;

    bool is_up(shard::LinkNumber number) const { return lanes_.at(number).up; }
    bool has_unconfirmed(shard::LinkNumber number) const { return !lanes_.at(number).unconfirmed.empty(); }
    shard::LinkNote go_up(shard::LinkNumber number);
    shard::LinkNote go_down(shard::LinkNumber number);
    /// Some of what it has, in any order, when `random` says so refused instead.
    shard::LinkNote confirm_some(shard::LinkNumber number, Random& random, bool refuses);

  private:
    struct Lane {
        std::string name;
        bool up = false;
        std::uint64_t epoch = 0;
        std::vector<bridge::Outgoing> unconfirmed;
    };

    Oracle& oracle_;
    Trace& trace_;
    std::map<shard::LinkNumber, Lane> lanes_;
    std::uint64_t epochs_ = 0;
};

}  // namespace sluice::sim
