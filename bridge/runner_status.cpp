// What operators see of a bridge.
#include <algorithm>

#include "bridge/runner.hpp"

namespace sluice::bridge {
namespace {

// Connected, with messages waiting, and nothing confirmed for so long: it says "connected" and forwards
// nothing.
constexpr auto stalled_after = std::chrono::seconds(15);
// So near a bound of bytes a spool counts as full: the next message may not fit.
constexpr double full_share = 0.98;

std::uint64_t get(const std::atomic<std::uint64_t>& value) {
    return value.load(std::memory_order_relaxed);
}

}  // namespace

shard::BridgeStatus BridgeRunner::status() const {
    shard::BridgeStatus status;
    status.name = settings_.name;
    status.type = settings_.type;
    std::int64_t oldest = 0, progress = 0;
    for (const auto& lane : lanes_) {
        const LaneStats& s = *lane->stats;
        status.confirmed += get(s.confirmed);
        status.refused += get(s.refused);
        status.redelivered += get(s.redelivered);
        status.dropped_full += get(s.dropped_full);
        status.dropped_expired += get(s.dropped_expired);
        status.dropped_other += get(s.dropped_other);
        status.replaced += get(s.replaced);
        status.thinned += get(s.thinned);
        const auto waiting = get(s.backlog_messages);
        status.spool_messages += waiting;
        status.spool_bytes += get(s.backlog_bytes);
        const auto since = s.oldest_wall_ms.load(std::memory_order_relaxed);
        if (waiting > 0 && since > 0 && (oldest == 0 || since < oldest)) oldest = since;
        progress = std::max(progress, s.progress_mono_ms.load(std::memory_order_relaxed));
    }
    for (const DeadRecord& dead : dead_) {
        status.dead += get(dead.stats->waiting);
        status.dead_dropped += get(dead.stats->dropped);
    }
    status.retried = get(retried_);
    status.dropped = status.dropped_full + status.dropped_expired + status.dropped_other;
    status.in_messages =
        status.confirmed + status.refused + status.dropped + status.replaced + status.spool_messages;
    if (oldest > 0) {
        const Millis age = age_of(WallTime(Millis(oldest)), Now::read().wall);
        status.oldest_age_s = std::max(0.0, std::chrono::duration<double>(age).count());
    }
    {
        const std::lock_guard lock(text_mutex_);
        status.reason = reason_;
        if (down_) status.down_problem = down_problem_;
    }
    if (down_) {
        const DownStats& s = down_->stats();
        status.has_down = true;
        status.down_received = get(s.received);
        status.down_kept = get(s.kept);
        status.down_refused = get(s.refused);
        status.down_own = get(s.own);
        status.down_unsettled = static_cast<std::uint64_t>(std::max<std::int64_t>(0, s.unsettled.load()));
    }
    status.state = state_of(status, progress);
    add_forecast(status);
    return status;
}

shard::BridgeState BridgeRunner::state_of(const shard::BridgeStatus& status, std::int64_t progress_ms) const {
    using enum shard::BridgeState;
    if (stopped_) return stopped;
    if (paused_) return paused;
    const bool waits = status.spool_messages > 0;
    const auto since = Now::read().mono.time_since_epoch().count() - progress_ms;
    const bool silent = since > std::chrono::milliseconds(stalled_after).count();
    if (up_ && waits && !silent && !stalled_) return progressing;
    if (is_full()) return full;
    if (!up_) return connecting;
    if (!waits) return connected;
    return stalled_ ? blocked : stalled;
}

bool BridgeRunner::is_full() const {
    const core::QueueBounds bounds = bounds_per_lane();
    return std::any_of(lanes_.begin(), lanes_.end(), [&](const auto& lane) {
        return get(lane->stats->backlog_messages) >= bounds.messages_max ||
               static_cast<double>(get(lane->stats->backlog_bytes)) >=
                   full_share * static_cast<double>(bounds.bytes_max);
    });
}

void BridgeRunner::add_forecast(shard::BridgeStatus& status) const {
    {
        const std::lock_guard lock(progress_mutex_);
        status.arrival_rate = progress_.arrival_rate();
        status.confirm_rate = progress_.confirm_rate();
    }
    const double growth = status.arrival_rate - status.confirm_rate;
    const auto waiting = static_cast<double>(status.spool_messages);
    if (waiting > 0 && growth < 0) status.empty_in_s = waiting / -growth;
    if (waiting == 0 || growth <= 0) return;
    const double bytes_each = static_cast<double>(status.spool_bytes) / waiting;
    const double messages_left = static_cast<double>(settings_.spool.messages_max) - waiting;
    const double bytes_left =
        static_cast<double>(settings_.spool.bytes_max) - static_cast<double>(status.spool_bytes);
    status.full_in_s =
        std::max(0.0, std::min(messages_left / growth,
                               bytes_each > 0 ? bytes_left / (bytes_each * growth) : messages_left / growth));
}

void BridgeRunner::sample() {
    const shard::BridgeStatus now = status();
    const std::lock_guard lock(progress_mutex_);
    progress_.add(Now::read().mono, now.in_messages, now.confirmed);
}

}  // namespace sluice::bridge
