// What a client does with what it gets.
#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/client.hpp"
#include "tests/sim/message_id.hpp"
#include "tests/sim/time.hpp"
#include "wire/decode.hpp"

namespace sluice::sim {

using wire::PacketType;
using wire::QoS;
using wire::ReasonCode;

namespace {

constexpr auto v5 = wire::Version::v5;
constexpr std::int64_t slack_ms = 1000;

}  // namespace

void Client::receive(const wire::Frame& frame) {
    switch (frame.type) {
        case PacketType::connack:
            return receive_connack(frame);
        case PacketType::publish:
            return receive_publish(frame);
        case PacketType::puback:
        case PacketType::pubrec:
        case PacketType::pubrel:
        case PacketType::pubcomp:
            return receive_ack(frame);
        case PacketType::suback:
            return receive_suback(frame);
        case PacketType::unsuback:
            return receive_unsuback(frame);
        case PacketType::disconnect:
            return receive_disconnect(frame);
        default:
            return violation("the broker sent a packet of a client");
    }
}

bool Client::may_be_gone() const {
    return clean_pending_ || !had_session_ || now_ms() - gone_ms_ >= std::int64_t{plan_.expiry_s} * 1000;
}

/// The broker has seen the end of the connection, or its own restart, long ago.
bool Client::must_be_gone() const {
    return clean_pending_ || connect_ms_ - std::max(closed_ms_, broker_began_ms_) >
                                 std::int64_t{plan_.expiry_s} * 1000 + slack_ms;
}

void Client::receive_connack(const wire::Frame& frame) {
    const auto packet = wire::decode_connack(v5, frame.body);
    if (!packet) return violation("a CONNACK that is none");
    trace_.note("connack", index_, static_cast<int>(packet->code), packet->session_present);
    if (packet->code == ReasonCode::server_unavailable) return;  // taken over, or the end
    if (packet->code != ReasonCode::success)
        return violation(fmt::format("CONNACK {}", wire::name_of(packet->code)));
    quota_ = packet->properties.receive_maximum.value_or(65535);
    if (packet->session_present) {
        if (must_be_gone()) return violation("has a session that should have ended");
        if (unsure_) {
            clean_pending_ = true;
            return drop_connection();
        }
        had_session_ = true;
        unsure_next_ = false;
        connected_ = true;
        if (will_.message != 0) will_.armed = true;
        repeat_everything();
        return send_pending();
    }
    if (persistent() && !may_be_gone()) return violation("its session is lost");
    oracle_.session_lost(index_);
    forget_session();
    clean_pending_ = false;
    had_session_ = persistent();
    unsure_next_ = false;
    connected_ = true;
    if (will_.message != 0) will_.armed = true;
}

void Client::receive_publish(const wire::Frame& frame) {
    ByteBuffer scratch;
    const auto packet = wire::decode_publish(v5, frame.flags, frame.body, scratch);
    if (!packet) return violation("a PUBLISH that is none");
    Got got{.message = id_of_bytes(packet->properties.correlation_data.value_or(Bytes{})),
            .connection = connection_,
            .qos = packet->qos,
            .retain = packet->retain,
            .dup = packet->dup};
    if (packet->retain) retained_[std::string(packet->topic)] = got.message;
    if (packet->qos == QoS::exactly_once) got.fresh = incoming_.insert(packet->packet_id).second;
    trace_.note("got", index_, got.message, static_cast<int>(packet->qos), packet->packet_id, packet->dup,
                packet->retain, got.fresh);
    oracle_.got(index_, got);
    if (packet->qos != QoS::at_most_once)
        owed_.push_back(
            {packet->qos == QoS::exactly_once ? PacketType::pubrec : PacketType::puback, packet->packet_id});
    if (owed_.size() > plan_.receive_maximum && packet->qos != QoS::at_most_once) {
        const auto publishes = std::count_if(owed_.begin(), owed_.end(),
                                             [](const Owed& one) { return one.type != PacketType::pubcomp; });
        if (publishes > plan_.receive_maximum) violation("got more than its Receive Maximum");
    }
}

void Client::receive_ack(const wire::Frame& frame) {
    const auto packet = wire::decode_ack(v5, frame.type, frame.body);
    if (!packet) return violation("an acknowledgement that is none");
    const auto id = packet->packet_id;
    trace_.note("answer", index_, static_cast<int>(frame.type), id, static_cast<int>(packet->code));
    if (frame.type == PacketType::pubrel) {
        incoming_.erase(id);
        owed_.push_back({PacketType::pubcomp, id});
        return;
    }
    const auto sent =
        std::find_if(sent_.begin(), sent_.end(), [id](const Sent& one) { return one.packet_id == id; });
    const bool fits = sent != sent_.end() &&
                      (frame.type == PacketType::puback) == (sent->qos == QoS::at_least_once) &&
                      (frame.type != PacketType::pubcomp || sent->released);
    if (!fits) {
        // The answer to a repeated PUBREC or PUBREL may come twice; one for a message never sent may not.
        if (frame.type == PacketType::puback)
            violation(fmt::format("PUBACK {} for nothing that it has sent", id));
        return;
    }
    if (frame.type == PacketType::pubcomp || is_error(packet->code)) {
        if (is_error(packet->code) && packet->code != ReasonCode::quota_exceeded &&
            packet->code != ReasonCode::packet_identifier_not_found)
            violation(fmt::format("was refused with {}", wire::name_of(packet->code)));
        sent_.erase(sent);
        return;
    }
    oracle_.accepted(sent->message, packet->code != ReasonCode::no_matching_subscribers);
    if (frame.type == PacketType::puback) {
        sent_.erase(sent);
        return;
    }
    sent->released = true;
    send_ack(PacketType::pubrel, id);
}

void Client::receive_suback(const wire::Frame& frame) {
    const auto packet = wire::decode_suback(v5, frame.body);
    if (!packet || !pending_ || !pending_->subscribes || packet->packet_id != pending_->packet_id)
        return violation("a SUBACK that it does not wait for");
    trace_.note("suback", index_, static_cast<int>(packet->codes.front()));
    if (is_error(packet->codes.front())) return violation("its SUBSCRIBE was refused");
    oracle_.subscribed(index_, pending_->filter);
    pending_.reset();
}

void Client::receive_unsuback(const wire::Frame& frame) {
    const auto packet = wire::decode_unsuback(v5, frame.body);
    if (!packet || !pending_ || pending_->subscribes || packet->packet_id != pending_->packet_id)
        return violation("an UNSUBACK that it does not wait for");
    trace_.note("unsuback", index_);
    oracle_.unsubscribed(index_, pending_->filter);
    pending_.reset();
}

void Client::receive_disconnect(const wire::Frame& frame) {
    const auto packet = wire::decode_disconnect(v5, frame.body);
    if (!packet) return violation("a DISCONNECT that is none");
    trace_.note("disconnected", index_, static_cast<int>(packet->code));
    if (packet->code != ReasonCode::session_taken_over && packet->code != ReasonCode::server_shutting_down)
        violation(fmt::format("was disconnected: {}", wire::name_of(packet->code)));
}

}  // namespace sluice::sim
