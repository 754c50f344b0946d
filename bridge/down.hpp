#pragma once
/// Down: the down direction of one bridge, from the connector to the shards and back.
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bridge/down_mapping.hpp"
#include "shard/inlet.hpp"

namespace sluice::bridge {

struct DownStats {
    std::atomic<std::uint64_t> received{0}, kept{0}, refused{0};
    std::atomic<std::uint64_t> own{0};  ///< had gone up from here
    std::atomic<std::int64_t> unsettled{0};
};

/// What comes is published on one shard for each way down, so that its order is kept, and settled when it is
/// durable there and wherever else it went. Owned by shared pointers: shards may hold on to it after the
/// bridge has gone.
class Down final : public shard::BroughtSink, public std::enable_shared_from_this<Down> {
  public:
    struct Way {
        DownSettings settings;
        DownTemplate topic;
    };
    /// `inlets` outlives every take(). `origin`: what went up under this name does not come down.
    /// `inflight_max`: ConnectorSpec::down_inflight_max.
    Down(std::string bridge, std::string origin, std::vector<Way> ways, std::size_t inflight_max,
         shard::InletSet& inlets);

    /// Before the connector starts.
    void attach(Connector& connector);
    /// Before it is destroyed: nothing is settled any more.
    void detach();

    /// The connector's threads.
    void take(std::vector<Incoming> messages);
    /// Any thread. What comes meanwhile is held back, unsettled.
    void pause(bool paused);
    // A shard's thread.
    void on_brought(std::uint64_t token, wire::ReasonCode code) override;

    const DownStats& stats() const { return stats_; }

  private:
    using Batches = std::vector<std::vector<shard::BroughtMessage>>;  ///< by shard
    void pass_on(const std::vector<Incoming>& messages);
    void sort_out(const Incoming& incoming, Batches& batches, std::vector<Settled>& settled);
    void settle(std::vector<Settled> settled);
    void complain(const std::string& what);

    const std::string bridge_, origin_, publisher_;
    const std::vector<Way> ways_;
    const std::size_t held_max_;
    shard::InletSet& inlets_;
    DownStats stats_;
    std::mutex connector_mutex_;
    Connector* connector_ = nullptr;
    std::mutex operators_mutex_;  ///< held by one pause() until what was held back has gone its way
    std::mutex pause_mutex_;
    bool paused_ = false;
    std::vector<Incoming> held_;  ///< while paused; at most held_max_
};

/// The client id of what a bridge brings down. A bridge does not take up what has its own.
std::string publisher_name(const std::string& bridge);

}  // namespace sluice::bridge
