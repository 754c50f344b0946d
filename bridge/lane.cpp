#include "bridge/lane.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/log.hpp"
#include "bridge/dead_letter.hpp"

namespace sluice::bridge {

Lane::Lane(LaneSpec spec, shard::LinkHost& host, std::shared_ptr<Upstream> upstream,
           std::shared_ptr<LaneStats> stats)
    : spec_(std::move(spec)),
      host_(host),
      upstream_(std::move(upstream)),
      stats_owner_(std::move(stats)),
      stats_(*stats_owner_),
      pace_(spec_.pace) {}

shard::Link::Delivered Lane::deliver(const core::Send& send) {
    if (!up_ || send.packet_id == 0) return Delivered::taken;
    batch_.push_back({.lane = spec_.number,
                      .route = spec_.route,
                      .tag = tag_of(send.packet_id),
                      .redelivery = send.dup,
                      .sequence = send.row,
                      .message = send.message});
    return Delivered::taken;
}

void Lane::flush(Now now) {
    if (paused_) return;
    const std::size_t take = pace_.allow(batch_.size(), now.mono);
    // What waits for its turn does not wait for the upstream.
    if (take < batch_.size() && in_flight_.empty()) note_progress(now);
    if (take == 0) return;
    std::vector<Outgoing> offer;
    offer.reserve(take);
    const auto end = batch_.begin() + static_cast<std::ptrdiff_t>(take);
    for (auto it = batch_.begin(); it != end; ++it) {
        const auto packet_id = static_cast<wire::PacketId>(it->tag);
        const bool is_first = !it->redelivery;  // then an interval of 0 has not passed
        if (it->message->expired(now.wall) && !(is_first && it->message->expiry_interval_s() == 0)) {
            expired_.push_back(packet_id);
            continue;
        }
        in_flight_.insert_or_assign(packet_id, it->message);
        (is_first ? stats_.offered : stats_.redelivered).fetch_add(1, std::memory_order_relaxed);
        offer.push_back(std::move(*it));
    }
    batch_.erase(batch_.begin(), end);
    if (!offer.empty()) upstream_->offer(epoch_, std::move(offer));
}

void Lane::on_tick(Now /*now*/) {
    for (const wire::PacketId packet_id : std::exchange(expired_, {})) {
        stats_.dropped_expired.fetch_add(1, std::memory_order_relaxed);
        host_.refuse(spec_.number, packet_id);
    }
}

void Lane::end(wire::ReasonCode /*reason*/) {
    up_ = false;
    pace_.end();
    expired_.clear();
}

void Lane::on_note(shard::LinkNote note) {
    if (const auto* up = std::get_if<shard::UpstreamUp>(&note)) return on_up(up->epoch);
    if (std::holds_alternative<shard::UpstreamDown>(note)) return on_down();
    if (const auto* confirmed = std::get_if<shard::UpstreamConfirmed>(&note)) return on_confirmed(*confirmed);
    if (const auto* pause = std::get_if<shard::LinkPaused>(&note)) {
        paused_ = pause->paused;
        if (paused_) return pace_.end();  // the other lanes may have its part
        if (up_) pace_.begin();
        note_progress(host_.now());  // what waited for the operator did not wait for the upstream
        flush(host_.now());
    }
}

void Lane::on_up(std::uint64_t epoch) {
    up_ = true;
    epoch_ = epoch;
    pace_.end();
    pace_.begin();
    note_progress(host_.now());
    host_.attach_link(spec_.number, spec_.inflight_max);
}

void Lane::on_down() {
    up_ = false;
    pace_.end();
    batch_.clear();
    expired_.clear();
    in_flight_.clear();
    host_.detach_link(spec_.number);
}

void Lane::on_confirmed(const shard::UpstreamConfirmed& note) {
    const Now now = host_.now();
    note_progress(now);
    for (const auto& one : note.confirms) {
        const auto packet_id = static_cast<wire::PacketId>(one.tag);
        const auto found = in_flight_.find(packet_id);
        if (one.tag >> 16 != epoch_ || found == in_flight_.end()) continue;
        const core::MessagePtr message = std::move(found->second);
        in_flight_.erase(found);
        if (one.delivered || one.let_go) {
            (one.let_go ? stats_.dropped_other : stats_.confirmed).fetch_add(1, std::memory_order_relaxed);
            host_.confirm(spec_.number, packet_id);
        } else {
            stats_.refused.fetch_add(1, std::memory_order_relaxed);
            bury(*message, one.reason, now);
            host_.refuse(spec_.number, packet_id);  // in the same batch as the dead letter
        }
    }
}

/// What the upstream refuses for good must not stand in the way of the rest.
void Lane::bury(const core::Message& message, const std::string& reason, Now now) {
    const bool kept =
        spec_.dead != 0 && host_.give(spec_.dead, bridge::bury(message, spec_.route_name, reason, now.wall));
    static log::RateLimit limit(10'000);
    std::uint64_t suppressed = 0;
    if (!limit.allow(now.mono.time_since_epoch().count(), suppressed)) return;
    log::warn(
        fmt::format("{}: the upstream refused a message for good: {}; it is {} ({} more since the last "
                    "line)",
                    spec_.label, reason,
                    kept ? "kept as a dead letter" : "dropped: the dead letters do not take it", suppressed));
}

void Lane::note_progress(Now now) {
    stats_.progress_mono_ms.store(now.mono.time_since_epoch().count(), std::memory_order_relaxed);
}

void Lane::on_backlog(const shard::Backlog& backlog) {
    // Nothing was to be confirmed: its silence begins now.
    if (stats_.backlog_messages.load(std::memory_order_relaxed) == 0 && backlog.messages > 0)
        note_progress(host_.now());
    stats_.backlog_messages.store(backlog.messages, std::memory_order_relaxed);
    stats_.backlog_bytes.store(backlog.bytes, std::memory_order_relaxed);
    stats_.oldest_wall_ms.store(backlog.oldest.time_since_epoch().count(), std::memory_order_relaxed);
    if (backlog.messages <= in_flight_.size() + expired_.size() && batch_.empty()) pace_.end();
}

void Lane::on_drop(core::DropReason reason) {
    auto& count = reason == core::DropReason::queue_full ? stats_.dropped_full
                  : reason == core::DropReason::expired  ? stats_.dropped_expired
                                                         : stats_.dropped_other;
    count.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace sluice::bridge
