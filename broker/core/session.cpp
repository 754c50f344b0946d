#include "core/session.hpp"

#include <algorithm>

namespace sluice::core {

using wire::PacketId;
using wire::QoS;
using wire::ReasonCode;

namespace {

constexpr std::uint64_t packet_id_cycle = 65535;  // ids 1 to 65535 [MQTT-2.2.1-4]
// What a receiver may have unacknowledged when memory is short before it gets more.
constexpr std::size_t inflight_bytes_fair = 16 * 1024;

}  // namespace

void Session::attach(std::uint16_t send_quota_max, Now now, Effects& effects, Repeats repeats) {
    attached_ = true;
    repeats_ = repeats;
    send_quota_max_ = std::max<std::uint16_t>(send_quota_max, 1);
    announced_max_ = announced_at_first();
    starved_ = false;
    held_ = 0;
    for (std::size_t i = 0; i < inflight_.size(); ++i) {
        inflight_[i].held = inflight_[i].state != State::done;
        held_ += inflight_[i].state == State::published ? 1U : 0U;
    }
    if (!all_inflight_loaded()) {
        resend_after_load_ = true;
        effects.load_wanted = !loading_;
        return;
    }
    repeat_inflight(effects);
    send_waiting(now, effects);
}

void Session::restore(const SaveProgress& progress, std::uint64_t queue_messages, std::uint64_t queue_bytes,
                      bool queue_shared, std::uint64_t inflight_bytes) {
    inflight_unloaded_bytes_ = inflight_bytes;
    behind_messages_ = queue_messages;
    behind_bytes_ = queue_bytes;
    shared_behind_ = queue_shared;
    for (const PacketId id : progress.inbound_released) inbound_.insert(id);
    // The ids go on behind that of the last PUBLISH; all in flight are within one cycle before it.
    PacketId last_id = 0, last_published = 0;
    for (const InflightRecord& record : progress.outbound) {
        last_id = record.packet_id;
        if (record.state == InflightRecord::State::published) last_published = record.packet_id;
    }
    if (last_published != 0) last_id = last_published;
    if (last_id == 0) return;
    last_sequence_ += packet_id_cycle + last_id;
    std::vector<Inflight> restored;
    for (const InflightRecord& record : progress.outbound) {
        if (record.packet_id == 0) continue;
        Inflight inflight;
        inflight.entry.row = record.row;
        if (record.state == InflightRecord::State::released) inflight.entry.qos = QoS::exactly_once;
        inflight.state = record.state == InflightRecord::State::released ? State::released : State::published;
        inflight.sequence = last_sequence_ - (packet_id_cycle + last_id - record.packet_id) % packet_id_cycle;
        inflight.sent = ++last_sent_;
        if (inflight.state == State::published) ++inflight_unloaded_;
        restored.push_back(std::move(inflight));
    }
    std::sort(restored.begin(), restored.end(),
              [](const Inflight& a, const Inflight& b) { return a.sequence < b.sequence; });
    for (Inflight& inflight : restored) inflight_.push_back(std::move(inflight));
    inflight_live_ = static_cast<std::uint32_t>(inflight_.size());
}

void Session::send_publish(Inflight& inflight, Known known, Effects& effects) {
    const QueueEntry& entry = inflight.entry;
    effects.sends.push_back(
        {.kind = Send::Kind::publish,
         .qos = entry.qos,
         .retain = entry.retain,
         .dup = known == Known::repeated,
         // A repetition is on disk already, and must not leave behind the QoS 1 messages
         // that were sent after it [MQTT-4.6.0-1].
         .after_commit = durable() && known == Known::not_yet && entry.qos == QoS::exactly_once,
         .packet_id = inflight.packet_id(),
         .row = entry.row,
         .message = entry.message,
         .subscription_identifiers = entry.subscription_identifiers});
}

Session::Offered Session::offer(QueueEntry entry, Effects& effects, MemoryRoom room, Refusal refusal) {
    if (entry.qos == QoS::at_most_once) {
        if (!attached_) {
            effects.drops.push_back({DropReason::offline_qos0});
            return Offered::dropped;
        }
        effects.sends.push_back({.kind = Send::Kind::publish,
                                 .retain = entry.retain,
                                 .message = std::move(entry.message),
                                 .subscription_identifiers = std::move(entry.subscription_identifiers)});
        return Offered::sent;
    }
    const bool waits = !attached_ || resend_after_load_ || loading_ || queued_messages() > 0 ||
                       inflight_live_ >= send_quota_max_ ||
                       (room != MemoryRoom::plenty && inflight_bytes_ > inflight_bytes_fair);
    const bool above_limit = refusal == Refusal::none && bounds().when_full == WhenFull::reject;
    if (waits && !above_limit && !make_room(bytes_of(entry), room, effects)) {
        if (bounds().when_full == WhenFull::reject) return Offered::rejected;
        effects.drops.push_back({full_for(bytes_of(entry)) ? DropReason::queue_full : DropReason::memory, 0});
        return Offered::dropped;
    }
    if (waits) {
        offer_waiting(std::move(entry), room, effects);
    } else {
        // Its delivery begins at once, so that even an expiry interval of 0 has not passed [MQTT-3.3.2-5].
        if (entry.row != 0) newest_row_in_memory_ = entry.row;
        last_sequence_ = next_sequence();
        start_sending(std::move(entry), last_sequence_, Known::not_yet, effects);
        effects.progress_changed |= durable();
    }
    return Offered::sent;
}

void Session::start_sending(QueueEntry entry, std::uint64_t sequence, Known known, Effects& effects) {
    Inflight inflight;
    inflight.entry = std::move(entry);
    inflight.sequence = sequence;
    inflight.sent = ++last_sent_;
    inflight_bytes_ += bytes_of(inflight.entry);
    ++inflight_live_;
    inflight_.push_back(std::move(inflight));
    send_publish(inflight_.back(), known, effects);
}

std::uint64_t Session::next_sequence() const {
    std::uint64_t next = last_sequence_ + 1;
    // A packet id still in flight a whole cycle ago must not be used again [MQTT-2.2.1-4].
    for (std::size_t i = 0; i < inflight_.size() && inflight_[i].sequence + packet_id_cycle <= next; ++i) {
        const Inflight& old = inflight_[i];
        if (old.state == State::done || (next - old.sequence) % packet_id_cycle != 0) continue;
        ++next;
        i = static_cast<std::size_t>(-1);
    }
    return next;
}

Session::Inflight* Session::at_sequence(std::uint64_t sequence) {
    // Where it is when none in between was skipped or is done and gone: nearly always.
    const std::uint64_t place = sequence - inflight_.front().sequence;
    if (place < inflight_.size() && inflight_[place].sequence == sequence) return &inflight_[place];
    std::size_t low = 0, high = inflight_.size();
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (inflight_[middle].sequence < sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < inflight_.size() && inflight_[low].sequence == sequence ? &inflight_[low] : nullptr;
}

Session::Inflight* Session::find_inflight(PacketId id) {
    if (id == 0 || inflight_.empty()) return nullptr;
    const std::uint64_t residue = id - 1U;
    std::uint64_t sequence =
        last_sequence_ - (last_sequence_ % packet_id_cycle + packet_id_cycle - residue) % packet_id_cycle;
    while (true) {
        Inflight* found = at_sequence(sequence);
        if (found && found->state != State::done) return found;
        if (sequence < inflight_.front().sequence + packet_id_cycle) return nullptr;
        sequence -= packet_id_cycle;
    }
}

void Session::settle(RowId row, Effects& effects) {
    if (row != 0) effects.settled.push_back({key_, row});
}

void Session::finish(Inflight& inflight, Now now, Effects& effects) {
    unhold(inflight);
    take_from_store(inflight);
    settle(inflight.entry.row, effects);
    inflight_bytes_ -= bytes_of(inflight.entry);
    inflight.entry = {.row = inflight.entry.message ? 0 : inflight.entry.row};
    inflight.state = State::done;
    --inflight_live_;
    remove_done();
    effects.progress_changed |= durable();
    send_waiting(now, effects);
}

void Session::remove_done() {
    if (resend_after_load_) return;
    while (!inflight_.empty() && inflight_.front().state == State::done) inflight_.pop_front();
    // One message that is never acknowledged must not pin the record of all that were sent after it.
    if (inflight_.size() <= 2 * inflight_live_ + 16) return;
    Ring<Inflight> live;
    for (std::size_t i = 0; i < inflight_.size(); ++i) {
        if (inflight_[i].state != State::done) live.push_back(std::move(inflight_[i]));
    }
    inflight_ = std::move(live);
}

Result<void, ReasonCode> Session::on_puback(PacketId id, Now now, Effects& effects) {
    Inflight* inflight = find_inflight(id);
    if (!inflight || inflight->entry.qos != QoS::at_least_once)
        return Err{ReasonCode::packet_identifier_not_found};
    finish(*inflight, now, effects);
    return {};
}

Result<void, ReasonCode> Session::on_pubrec(PacketId id, ReasonCode code, Now now, Effects& effects) {
    Inflight* inflight = find_inflight(id);
    // Of what was restored and is not read yet the QoS is not known: the receiver knows it.
    if (inflight && inflight->state == State::published && !inflight->entry.message)
        inflight->entry.qos = QoS::exactly_once;
    if (!inflight || inflight->entry.qos != QoS::exactly_once) {
        // The receiver must get out of its half-finished state [MQTT5 4.3.3]; in its turn [MQTT-4.6.0-4].
        if (!wire::is_error(code)) {
            effects.sends.push_back({.kind = Send::Kind::pubrel,
                                     .after_commit = durable(),
                                     .packet_id = id,
                                     .code = ReasonCode::packet_identifier_not_found});
        }
        return Err{ReasonCode::packet_identifier_not_found};
    }
    if (wire::is_error(code)) {
        effects.drops.push_back({DropReason::refused_by_receiver, inflight->entry.row});
        finish(*inflight, now, effects);
        return {};
    }
    unhold(*inflight);
    if (inflight->state == State::published) {
        // The receiver has it: the message may go, only the id is kept until PUBCOMP [MQTT-4.3.3-4].
        take_from_store(*inflight);
        settle(inflight->entry.row, effects);
        inflight_bytes_ -= bytes_of(inflight->entry);
        if (inflight->entry.message) inflight->entry.row = 0;
        inflight->entry.message = {};
        inflight->state = State::released;
        inflight->sent = ++last_sent_;
        effects.progress_changed |= durable();
    }
    effects.sends.push_back({.kind = Send::Kind::pubrel, .after_commit = durable(), .packet_id = id});
    return {};
}

Result<void, ReasonCode> Session::on_pubcomp(PacketId id, Now now, Effects& effects) {
    Inflight* inflight = find_inflight(id);
    if (!inflight || inflight->state != State::released) return Err{ReasonCode::packet_identifier_not_found};
    finish(*inflight, now, effects);
    return {};
}

void Session::on_unsendable(PacketId id, Now now, Effects& effects) {
    Inflight* inflight = find_inflight(id);
    if (!inflight) return;
    effects.drops.push_back({DropReason::too_large, inflight->entry.row});
    finish(*inflight, now, effects);
}

bool Session::on_publish_qos2(PacketId id) {
    return inbound_.insert(id);
}

bool Session::on_pubrel(PacketId id) {
    return inbound_.erase(id);
}

SaveProgress Session::progress() const {
    SaveProgress progress{.session = key_, .outbound = {}, .inbound_released = inbound_.ids()};
    progress.outbound.reserve(inflight_live_ + announced_);
    for (const std::size_t i : inflight_as_sent()) {
        const Inflight& inflight = inflight_[i];
        const bool released = inflight.state == State::released;
        progress.outbound.push_back(
            {.row = released ? 0 : inflight.entry.row,
             .packet_id = inflight.packet_id(),
             .state = released ? InflightRecord::State::released : InflightRecord::State::published});
    }
    for (std::size_t i = 0; i < announced_; ++i) {
        progress.outbound.push_back({.row = queue_[i].row,
                                     .packet_id = packet_id_of(next_announced() + i),
                                     .state = InflightRecord::State::published});
    }
    return progress;
}

bool Session::oldest_received(WallTime& received) const {
    for (std::size_t i = 0; i < inflight_.size(); ++i) {
        if (!inflight_[i].entry.message) continue;
        received = inflight_[i].entry.message->received();
        return true;
    }
    if (queue_.empty()) return false;
    received = queue_.front().message->received();
    return true;
}

}  // namespace sluice::core
