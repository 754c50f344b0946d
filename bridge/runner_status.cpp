// What operators see of a bridge.
#include <algorithm>

#include "bridge/runner.hpp"

namespace sluice::bridge {
namespace {

std::uint64_t get(const std::atomic<std::uint64_t>& value) {
    return value.load(std::memory_order_relaxed);
}

/// Of a lane's messages, those that have left the spool otherwise than over its bounds.
std::uint64_t left(const LaneStats& s) {
    return get(s.confirmed) + get(s.refused) + get(s.replaced) + get(s.dropped_expired) +
           get(s.dropped_other);
}

std::uint64_t arrived(const LaneStats& s) {
    return left(s) + get(s.dropped_full) + get(s.backlog_messages);
}

}  // namespace

shard::BridgeStatus BridgeRunner::status() const {
    shard::BridgeStatus status;
    status.name = settings_.name;
    status.type = settings_.type;
    std::int64_t oldest = 0;
    for (const auto& lane : lanes_) {
        const LaneStats& s = *lane->stats;
        add_counts(s, status);
        const auto since = s.oldest_wall_ms.load(std::memory_order_relaxed);
        if (get(s.backlog_messages) > 0 && since > 0 && (oldest == 0 || since < oldest)) oldest = since;
    }
    for (const DeadRecord& dead : dead_) {
        status.dead += get(dead.stats->waiting);
        status.dead_dropped += get(dead.stats->dropped);
    }
    status.retried = get(retried_);
    status.dropped = status.dropped_full + status.dropped_expired + status.dropped_other;
    if (oldest > 0) {
        const Millis age = age_of(WallTime(Millis(oldest)), Now::read().wall);
        status.oldest_age_s = std::max(0.0, std::chrono::duration<double>(age).count());
    }
    add_down(status);
    add_health(status);
    return status;
}

void BridgeRunner::add_counts(const LaneStats& lane, shard::BridgeStatus& status) {
    status.in_messages += arrived(lane);
    status.confirmed += get(lane.confirmed);
    status.refused += get(lane.refused);
    status.redelivered += get(lane.redelivered);
    status.dropped_full += get(lane.dropped_full);
    status.dropped_expired += get(lane.dropped_expired);
    status.dropped_other += get(lane.dropped_other);
    status.replaced += get(lane.replaced);
    status.thinned += get(lane.thinned);
    status.spool_messages += get(lane.backlog_messages);
    status.spool_bytes += get(lane.backlog_bytes);
}

void BridgeRunner::add_down(shard::BridgeStatus& status) const {
    if (!down_) return;
    {
        const std::lock_guard lock(text_mutex_);
        status.down_problem = down_problem_;
    }
    const DownStats& s = down_->stats();
    status.has_down = true;
    status.down_received = get(s.received);
    status.down_kept = get(s.kept);
    status.down_refused = get(s.refused);
    status.down_own = get(s.own);
    status.down_unsettled = static_cast<std::uint64_t>(std::max<std::int64_t>(0, s.unsettled.load()));
}

std::vector<LaneHealth> BridgeRunner::health_of_lanes() const {
    const std::int64_t now = Now::read().mono.time_since_epoch().count();
    const std::int64_t going_since = going_since_ms_;
    std::vector<LaneHealth> lanes;
    const std::lock_guard lock(progress_mutex_);
    for (const auto& lane : lanes_) {
        const LaneStats& s = *lane->stats;
        const auto progress = std::max(going_since, s.progress_mono_ms.load(std::memory_order_relaxed));
        lanes.push_back({.route = route_names_[lane->route],
                         .messages = get(s.backlog_messages),
                         .bytes = get(s.backlog_bytes),
                         .silent_ms = now - progress,
                         .arrival_rate = lane->progress.arrival_rate(),
                         .leave_rate = lane->progress.confirm_rate()});
    }
    return lanes;
}

void BridgeRunner::add_health(shard::BridgeStatus& status) const {
    using enum shard::BridgeState;
    const auto lanes = health_of_lanes();
    const core::QueueBounds bounds = bounds_per_lane();
    {
        const std::lock_guard lock(progress_mutex_);
        status.arrival_rate = progress_.arrival_rate();
        status.confirm_rate = progress_.confirm_rate();
    }
    const Forecast ahead = forecast(lanes, bounds);
    status.full_in_s = ahead.full_in_s;
    status.empty_in_s = ahead.empty_in_s;
    {
        const std::lock_guard lock(text_mutex_);
        status.reason = reason_;
    }
    const Judgement judgement =
        judge(lanes, bounds, {.up = up_, .stalled = stalled_, .confirm_rate = status.confirm_rate});
    status.state = stopped_ ? stopped : paused_ ? paused : judgement.state;
    if (status.state != judgement.state || judgement.routes.empty()) return;
    const std::string routes = describe_routes(judgement.routes);
    status.reason = status.reason.empty() ? routes : routes + ": " + status.reason;
}

void BridgeRunner::sample() {
    const shard::BridgeStatus now = status();
    const std::lock_guard lock(progress_mutex_);
    const MonoTime at = Now::read().mono;
    progress_.add(at, now.in_messages, now.confirmed);
    for (const auto& lane : lanes_) lane->progress.add(at, arrived(*lane->stats), left(*lane->stats));
}

}  // namespace sluice::bridge
