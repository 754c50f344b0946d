// Packet ids are given out, and recorded, ahead of the sending. A message that lies on disk and is sent must
// come again with DUP and its packet id, even if the process is killed in the next moment [MQTT-3.3.1-1],
// [MQTT-4.4.0-1]; to wait for the disk when there is room for it at last would drain a queue by one window a
// commit.
#include "core/session.hpp"

#include <algorithm>
#include <utility>

namespace sluice::core {

using wire::QoS;

namespace {

constexpr std::size_t announced_min = 32;
constexpr std::size_t packet_ids = 65535;

/// Whoever has it recorded may have been sent it, so that nobody else may get it when the session ends
/// [MQTT-4.8.2-5]: it is recorded when it can leave, not before.
bool is_for_one_alone(const QueueEntry& entry) {
    return entry.qos == QoS::exactly_once && entry.share;
}

}  // namespace

/// Ids of what is in memory.
std::uint16_t Session::announced_at_most(std::size_t wanted) const {
    return static_cast<std::uint16_t>(std::min({wanted, bounds().window_messages, packet_ids}));
}

/// The next window of the far end while this one is on its way.
std::uint16_t Session::announced_at_first() const {
    return announced_at_most(std::max<std::size_t>(2UL * send_quota_max_, announced_min));
}

void Session::announce(Effects& effects) {
    if (!announces()) return;
    if (queue_.empty() && behind_messages_ == 0) announced_max_ = announced_at_first();
    while (announced_ < queue_.size() && announced_ < announced_max_ &&
           inflight_live_ + announced_ < packet_ids) {
        if (is_for_one_alone(queue_[announced_]) && inflight_live_ + announced_ >= send_quota_max_) return;
        const std::uint64_t next = next_sequence();
        // They are in a row: behind an id that is still in flight they begin when the others have left.
        if (announced_ > 0 && next != last_sequence_ + 1) return;
        last_sequence_ = next;
        ++announced_;
        ++unrecorded_;
        effects.progress_changed = true;
    }
}

void Session::send_waiting(Now now, Effects& effects) {
    if (attached_ && held_ > 0 && quota_was_used_up()) repeat_inflight(effects);
    while (attached_ && !resend_after_load_ && !queue_.empty() && inflight_live_ < send_quota_max_) {
        if (drop_if_stale(queue_.front(), now, effects)) {
            effects.progress_changed |= announced_ > 0;
            (void)take_first();
            continue;
        }
        const bool is_announced = announced_ > 0;
        if (announces() && unrecorded_ == announced_) {
            starved_ |= announced_ >= announced_max_;
            break;
        }
        if (!is_announced) last_sequence_ = next_sequence();
        const std::uint64_t sequence = is_announced ? next_announced() : last_sequence_;
        start_sending(take_first(), sequence, is_announced ? Known::recorded : Known::not_yet, effects);
        effects.progress_changed |= durable() && !is_announced;
    }
    announce(effects);
    want_load_if_low(effects);
}

void Session::on_recorded(std::uint64_t mark, Now now, Effects& effects) {
    unrecorded_ = static_cast<std::uint16_t>(std::min<std::uint64_t>(unrecorded_, last_sequence_ - mark));
    // The disk takes longer than the far end: more at a time, as long as it lasts.
    if (std::exchange(starved_, false)) announced_max_ = announced_at_most(2UL * announced_max_);
    send_waiting(now, effects);
    trim(effects);
}

bool Session::detach() {
    attached_ = false;
    const bool had_announced = announced_ > 0;
    // They were not sent: their ids are free for others.
    last_sequence_ -= announced_;
    announced_ = unrecorded_ = 0;
    return had_announced;
}

void Session::offer_waiting(QueueEntry entry, MemoryRoom room, Effects& effects) {
    const bool at_least_once = entry.qos == QoS::at_least_once;
    const bool last_is_next = announced_ == queue_.size() && unrecorded_ == 0;
    const std::size_t queued_before = queue_.size();
    enqueue(std::move(entry), room != MemoryRoom::plenty);
    announce(effects);
    // It comes to the disk with the record of it, so that it need not wait longer than for an answer of the
    // far end. With QoS 2 it must: sent and lost, it would come as another message.
    if (at_least_once && last_is_next && queue_.size() > queued_before && announced_ == queue_.size() &&
        !waits_for_record())
        unrecorded_ = 0;
}

}  // namespace sluice::core
