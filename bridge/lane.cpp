#include "bridge/lane.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.hpp"

namespace sluice::bridge {
namespace {

// What an upstream refuses for good stays in the spool and is tried again now and then: an operator who
// creates the missing queue or exchange loses nothing. It holds one place of the window and blocks nobody
// else.
constexpr auto retry_refused_after = std::chrono::seconds(30);
// More than this never leaves in one go, so that a long pause does not turn into a burst.
constexpr double burst_s = 0.2;

}  // namespace

Lane::Lane(LaneSpec spec, shard::LinkHost& host, Upstream& upstream, LaneStats& stats)
    : spec_(std::move(spec)), host_(host), upstream_(upstream), stats_(stats) {}

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
    if (batch_.empty()) return;
    std::size_t take = batch_.size();
    if (spec_.drain_rate > 0 && catching_up_) {
        refill_allowance(now.mono);
        take = std::min(take, static_cast<std::size_t>(allowance_));
        allowance_ -= static_cast<double>(take);
        if (take == 0) return;
    }
    std::vector<Outgoing> offer(std::make_move_iterator(batch_.begin()),
                                std::make_move_iterator(batch_.begin() + static_cast<std::ptrdiff_t>(take)));
    batch_.erase(batch_.begin(), batch_.begin() + static_cast<std::ptrdiff_t>(take));
    for (const Outgoing& outgoing : offer) {
        in_flight_.insert_or_assign(static_cast<wire::PacketId>(outgoing.tag), outgoing.message);
        (outgoing.redelivery ? stats_.redelivered : stats_.offered).fetch_add(1, std::memory_order_relaxed);
    }
    upstream_.offer(epoch_, std::move(offer));
}

void Lane::refill_allowance(MonoTime now) {
    const double passed_s = std::chrono::duration<double>(now - allowance_at_).count();
    allowance_at_ = now;
    // And the part of a message that was left over: a low rate would be lower still without it.
    const double most = spec_.drain_rate * burst_s + 1;
    allowance_ = std::min(most, allowance_ + passed_s * spec_.drain_rate);
}

void Lane::end(wire::ReasonCode /*reason*/) {
    up_ = false;
}

void Lane::on_note(shard::LinkNote note) {
    if (const auto* up = std::get_if<shard::UpstreamUp>(&note)) return on_up(up->epoch);
    if (std::holds_alternative<shard::UpstreamDown>(note)) return on_down();
    on_confirmed(std::get<shard::UpstreamConfirmed>(note));
}

void Lane::on_up(std::uint64_t epoch) {
    up_ = true;
    epoch_ = epoch;
    catching_up_ = true;
    allowance_ = 0;
    allowance_at_ = host_.now().mono;
    stats_.progress_mono_ms.store(allowance_at_.time_since_epoch().count(), std::memory_order_relaxed);
    host_.attach_link(spec_.number, spec_.inflight_max);
}

void Lane::on_down() {
    up_ = false;
    batch_.clear();
    in_flight_.clear();
    refused_.clear();
    host_.detach_link(spec_.number);
}

void Lane::on_confirmed(const shard::UpstreamConfirmed& note) {
    const Now now = host_.now();
    stats_.progress_mono_ms.store(now.mono.time_since_epoch().count(), std::memory_order_relaxed);
    for (const auto& one : note.confirms) {
        const auto packet_id = static_cast<wire::PacketId>(one.tag);
        if (one.tag >> 16 != epoch_ || !in_flight_.contains(packet_id)) continue;
        if (one.delivered) {
            in_flight_.erase(packet_id);
            stats_.confirmed.fetch_add(1, std::memory_order_relaxed);
            host_.confirm(spec_.number, packet_id);
            continue;
        }
        stats_.refused.fetch_add(1, std::memory_order_relaxed);
        refused_.push_back({packet_id, now.mono + retry_refused_after});
        static log::RateLimit limit(10'000);
        std::uint64_t suppressed = 0;
        if (limit.allow(now.mono.time_since_epoch().count(), suppressed)) {
            log::warn(
                fmt::format("{}: the upstream refused a message: {}; it stays in the spool and is tried "
                            "again every {} s ({} "
                            "more since the last line)",
                            spec_.label, one.reason, retry_refused_after.count(), suppressed));
        }
    }
}

void Lane::on_backlog(const shard::Backlog& backlog) {
    stats_.backlog_messages.store(backlog.messages, std::memory_order_relaxed);
    stats_.backlog_bytes.store(backlog.bytes, std::memory_order_relaxed);
    stats_.oldest_wall_ms.store(backlog.oldest.time_since_epoch().count(), std::memory_order_relaxed);
    if (backlog.messages <= in_flight_.size() && batch_.empty()) catching_up_ = false;
}

void Lane::on_drop(core::DropReason /*reason*/) {
    stats_.dropped.fetch_add(1, std::memory_order_relaxed);
}

void Lane::on_tick(Now now) {
    std::vector<Outgoing> again;
    std::erase_if(refused_, [&](const Refused& refused) {
        if (refused.retry_at > now.mono) return false;
        const auto it = in_flight_.find(refused.packet_id);
        if (it != in_flight_.end()) {
            again.push_back({.lane = spec_.number,
                             .route = spec_.route,
                             .tag = tag_of(refused.packet_id),
                             .redelivery = true,
                             .message = it->second});
        }
        return true;
    });
    if (up_ && !again.empty()) upstream_.offer(epoch_, std::move(again));
}

}  // namespace sluice::bridge
