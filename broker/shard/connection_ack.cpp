// Acknowledgements, both ways.
#include <fmt/format.h>

#include "base/log.hpp"
#include "shard/connection.hpp"

namespace sluice::shard {

using wire::PacketType;
using wire::ReasonCode;
using wire::WireError;

Connection::Step Connection::handle_puback(const wire::Frame& frame) {
    const auto packet = wire::decode_ack(version_, PacketType::puback, frame.body);
    if (!packet) return Err{packet.error()};
    core::Effects& effects = shard_.begin_step();
    // An unknown id is ignored: the answer to a message that a restart or the receiver itself has settled
    // already.
    answers_ |= session().on_puback(packet->packet_id, shard_.now(), effects).ok();
    shard_.execute(id_, effects);
    return {};
}

Connection::Step Connection::handle_pubrec(const wire::Frame& frame) {
    const auto packet = wire::decode_ack(version_, PacketType::pubrec, frame.body);
    if (!packet) return Err{packet.error()};
    core::Effects& effects = shard_.begin_step();
    answers_ |= session().on_pubrec(packet->packet_id, packet->code, shard_.now(), effects).ok();
    shard_.execute(id_, effects);
    return {};
}

Connection::Step Connection::handle_pubcomp(const wire::Frame& frame) {
    const auto packet = wire::decode_ack(version_, PacketType::pubcomp, frame.body);
    if (!packet) return Err{packet.error()};
    core::Effects& effects = shard_.begin_step();
    (void)session().on_pubcomp(packet->packet_id, shard_.now(), effects);
    shard_.execute(id_, effects);
    return {};
}

std::uint64_t Connection::push_ack(PacketType type, wire::PacketId id) {
    acks_.push_back({.type = type, .packet_id = id});
    return first_ack_ + acks_.size() - 1;
}

void Connection::note_if_waiting(std::uint64_t cookie) {
    if (cookie - first_ack_ >= acks_.size()) return;  // it has left
    const PendingAck& ack = ack_at(cookie);
    if (ack.type != PacketType::pubrec) return;
    if (!pubrecs_) pubrecs_ = std::make_unique<core::PacketIdSet>();
    pubrecs_->insert(ack.packet_id);
}

void Connection::finish_ack(std::uint64_t cookie) {
    ack_at(cookie).done = true;
    send_ready_acks();
}

void Connection::cancel_tickets() {
    for (std::size_t i = 0; i < acks_.size(); ++i) {
        const PendingAck& ack = acks_[i];
        // What was routed must be known when the client comes back and repeats it; but to record it before
        // the other shards have it could lose it.
        if (ack.unrecorded && slot().session && session().durable()) {
            shard_.leave_open(id_, ack.packet_id, ack.ticket);
            continue;
        }
        shard_.tickets().cancel(ack.ticket);
        leave_refused(ack);
    }
    acks_.clear();
}

void Connection::leave_refused(const PendingAck& ack) {
    // Others may have it: repeated by a client that has not heard the answer, it must not come to them again.
    if (ack.refused && slot().session && session().durable())
        shard_.leave_refused(id_, ack.packet_id, ack.code);
}

void Connection::on_ticket(std::uint64_t cookie, const TicketAnswer& answer) {
    if (gone_) return;
    PendingAck& ack = ack_at(cookie);
    ack.ticket = 0;
    if (is_error(answer.code)) {
        ack.code = answer.code;
        if (answer.code == ReasonCode::quota_exceeded) ack.why = "the queue of a receiver is full";
        ack.routed = false;
        const bool unrecorded = std::exchange(ack.unrecorded, false);
        if (ack.type == PacketType::pubrec && (unrecorded || session().has_inbound(ack.packet_id))) {
            ack.refused = true;
            // The disk may know of the id already: it must forget it before the client may use it again.
            session().forget_inbound(ack.packet_id);
            shard_.save_progress(id_);
            shard_.forget_arrivals(id_, ack.packet_id);
            with_ticket(cookie, [this](TicketId ticket) { shard_.hold_until_saved(ticket, id_); });
            return;
        }
    } else if (ack.routed && is_v5() && !answer.matched) {
        ack.code = ReasonCode::no_matching_subscribers;
    }
    if (is_error(ack.code) && !is_v5()) {
        // 3.1.1 has no negative PUBACK; without one the client repeats the message when it comes back.
        log::warn(
            fmt::format("{} is disconnected: its publish was refused ({})", describe(), name_of(ack.code)));
        channel_.close_after_flush();
        leave(Departure::with_will);
        return;
    }
    ack.routed = false;
    if (std::exchange(ack.unrecorded, false)) {
        const bool is_new = shard_.record_inbound(id_, ack.packet_id);
        if (std::exchange(ack.counts, false)) {
            // The session counts it from here on; twice would be a Receive Maximum smaller than announced.
            --publishes_pending_;
        } else if (is_new) {
            note_inbound_before(ack.packet_id);
        }
        with_ticket(cookie, [this](TicketId ticket) { shard_.hold_until_saved(ticket, id_); });
        return;
    }
    finish_ack(cookie);
}

void Connection::send_ready_acks() {
    while (!gone_ && !acks_.empty() && acks_.front().done) {
        PendingAck ack = std::move(acks_.front());
        acks_.pop_front();
        ++first_ack_;
        if (ack.counts) --publishes_pending_;
        if (ack.type == PacketType::pubrec && pubrecs_) pubrecs_->erase(ack.packet_id);
        if (ack.work) work_bytes_ -= ack.work->bytes;
        leave_refused(ack);  // it leaves, but who knows whether it arrives
        send_ack(ack);
    }
    on_acks_left();
}

/// A Reason String, for a client that wants to know [MQTT-3.1.2-29].
void Connection::explain(wire::Properties& properties, const char* why) const {
    if (why && request_problem_information_ && is_v5()) properties.reason_string = why;
}

/// `encode(out, packet)`; without the Reason String when that would make it larger than the client takes
/// [MQTT-3.4.2-2], [MQTT-3.5.2-2], [MQTT-3.9.2-1], [MQTT-3.11.2-1].
template <class Packet, class Encode>
void Connection::write_answer(Packet packet, const char* why, Encode&& encode) {
    thread_local ByteBuffer out;
    out.clear();
    explain(packet.properties, why);
    encode(out, packet);
    if (out.size() > packet_bytes_max_ && packet.properties.reason_string) {
        packet.properties.reason_string.reset();
        out.clear();
        encode(out, packet);
    }
    write(out);
}

void Connection::send_ack(PendingAck& ack) {
    if (ack.type == PacketType::suback) {
        write_answer(
            wire::Suback{.packet_id = ack.packet_id, .codes = std::move(ack.work->codes), .properties = {}},
            ack.work->why, [this](ByteBuffer& out, const wire::Suback& packet) {
                wire::encode_suback(out, version_, packet);
            });
        for (const LinkSpec::Wanted& wanted : ack.work->send_retained) {
            if (gone_) return;  // SUBACK was too large for the client
            shard_.send_retained(id_, wanted.filter, wanted.options);
        }
        return;
    }
    if (ack.type == PacketType::unsuback) {
        write_answer(
            wire::Unsuback{.packet_id = ack.packet_id, .codes = std::move(ack.work->codes), .properties = {}},
            ack.work->why, [this](ByteBuffer& out, const wire::Unsuback& packet) {
                wire::encode_unsuback(out, version_, packet);
            });
        return;
    }
    write_answer(wire::Ack{.packet_id = ack.packet_id, .code = ack.code, .properties = {}}, ack.why,
                 [this, &ack](ByteBuffer& out, const wire::Ack& packet) {
                     wire::encode_ack(out, version_, ack.type, packet);
                 });
}

}  // namespace sluice::shard
