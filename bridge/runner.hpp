#pragma once
/// BridgeRunner: one `[[bridge]]` at work: its connector, a lane per route on every shard, the queues of dead
/// letters, and its down direction.
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "bridge/connector.hpp"
#include "bridge/dead_letters.hpp"
#include "bridge/down.hpp"
#include "bridge/lane.hpp"
#include "bridge/lane_health.hpp"
#include "bridge/progress.hpp"
#include "bridge/settings.hpp"
#include "bridge/thinning.hpp"
#include "shard/inlet.hpp"
#include "shard/stats.hpp"

namespace sluice::bridge {

/// The name of a route in its spool's session, in commands and in logs: its own, or made of `from`.
std::vector<std::string> route_names(const std::vector<RouteSettings>& routes);

class BridgeRunner final : private ConnectorEvents {
  public:
    /// `inlets` outlives this. `origin` and `store_id`: as ConnectorSpec has them. The error names place,
    /// key, problem and expectation.
    static Result<std::unique_ptr<BridgeRunner>, std::string> create(BridgeSettings settings,
                                                                     const ConnectorModule& module,
                                                                     shard::InletSet& inlets,
                                                                     const std::string& origin,
                                                                     const std::string& store_id);
    ~BridgeRunner() override;

    /// Puts the lanes on the shards, then starts the connector. `spools`: client ids of the sessions that are
    /// there; what waits in one of a shard that no longer exists is drained too. `paused`: as by pause(true).
    void start(const std::vector<std::string>& spools, bool paused = false);
    /// Stops the connector; spools, lanes and what they know stay. May take seconds; call before the shards
    /// stop.
    void stop();
    /// After stop(): takes the lanes off the shards, and nothing more enters the spools of these routes. But
    /// what `next` has too stays until its start() replaces it, so that at no time a message finds no lane.
    /// `next` may be null.
    void leave(const BridgeRunner* next);

    const std::string& name() const { return settings_.name; }
    const BridgeSettings& settings() const { return settings_; }
    const std::vector<std::string>& routes() const { return route_names_; }
    bool has_route(std::string_view name) const;
    /// Any thread.
    shard::BridgeStatus status() const;
    void pause(bool paused);
    bool is_paused() const { return paused_; }
    /// Of every shard, answered on its thread; how many answers there will be.
    std::size_t ask_dead_letters(shard::DeadLetterRequest request);
    /// Takes a sample for the rates; call about every 5 s, from one thread.
    void sample();

  private:
    struct LaneRecord {
        std::string name;
        shard::LinkNumber number = 0;
        std::uint32_t route = 0;
        std::size_t shard = 0;
        bool is_old = false;  ///< of a spool that nothing new enters
        std::shared_ptr<LaneStats> stats = std::make_shared<LaneStats>();
        Progress progress;  ///< what comes and what leaves; under progress_mutex_
    };
    struct DeadRecord {
        shard::LinkNumber number = 0;
        std::size_t shard = 0;
        std::shared_ptr<DeadLetterStats> stats = std::make_shared<DeadLetterStats>();
    };
    /// Lanes may outlive the runner by a turn.
    class Offers;

    BridgeRunner(BridgeSettings settings, shard::InletSet& inlets);

    // ConnectorEvents, on the connector's thread
    void on_up(std::uint64_t epoch) override;
    void on_down(const std::string& reason) override;
    void on_confirm(std::span<const Confirm> confirms) override;
    void on_stalled(const std::string& reason) override;
    void on_retried(std::uint64_t count) override { retried_.fetch_add(count, std::memory_order_relaxed); }
    void on_incoming(std::vector<Incoming> messages) override { down_->take(std::move(messages)); }
    void on_source(const std::string& problem) override;

    Result<void, std::string> parse_routes(ConnectorSpec& spec);
    Result<void, std::string> parse_downs(ConnectorSpec& spec, const std::string& origin);
    void add_lanes(const std::vector<std::string>& spools);
    void add_lane(std::uint32_t route, std::size_t shard, const std::string& spool, bool subscribes);
    void add_old_dead_letters(const std::vector<std::string>& spools);
    void add_dead_letters(const DeadRecord& record, std::size_t queue);
    core::QueueBounds bounds_per_lane() const;
    ThinningRules thinning_per_lane(const RouteSettings& route) const;
    void tell_all(const shard::LinkNote& note);
    void set_reason(const std::string& reason);
    static void add_counts(const LaneStats& lane, shard::BridgeStatus& status);
    std::vector<LaneHealth> health_of_lanes() const;
    /// State, reason, rates and forecast.
    void add_health(shard::BridgeStatus& status) const;
    void add_down(shard::BridgeStatus& status) const;

    const BridgeSettings settings_;
    const std::vector<std::string> route_names_;
    shard::InletSet& inlets_;
    const std::shared_ptr<DrainPace> pace_;
    std::unique_ptr<Connector> connector_;
    std::shared_ptr<Offers> offers_;
    std::shared_ptr<Down> down_;                                ///< none: no way down
    std::vector<std::shared_ptr<const Condition>> conditions_;  ///< by route; none: all pass
    std::vector<std::unique_ptr<LaneRecord>> lanes_;            ///< complete before the connector starts
    std::unordered_map<shard::LinkNumber, LaneRecord*> lanes_by_number_;
    /// The first are those of the shards in their order, the others of shards that the broker once had.
    /// Empty: none are kept.
    std::vector<DeadRecord> dead_;
    std::atomic<bool> up_{false};
    std::atomic<bool> stalled_{false};  ///< the connector says so
    std::atomic<bool> paused_{false};
    /// When it last came up or was resumed. The lanes hear of it a little later, and until then the time
    /// before it would look like the upstream's silence.
    std::atomic<std::int64_t> going_since_ms_{0};
    std::atomic<bool> stopped_{false};
    std::atomic<std::uint64_t> retried_{0};
    mutable std::mutex text_mutex_;
    std::string reason_;        ///< why it is down, or the last refusal
    std::string down_problem_;  ///< of the down direction
    mutable std::mutex progress_mutex_;
    Progress progress_;
};

}  // namespace sluice::bridge
