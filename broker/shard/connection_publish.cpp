// PUBLISH and PUBREL from a client. Order of judgement: decode, limits, alias, authorize, freeze; nothing is
// judged before it has its full name.
#include "shard/connection.hpp"

namespace sluice::shard {

using wire::PacketType;
using wire::QoS;
using wire::ReasonCode;
using wire::WireError;

namespace {

// A topic alias up to here is part of what a connection takes anyway.
constexpr std::size_t alias_bytes_fair = 256;
constexpr std::size_t large_payload_bytes = 16 * 1024;

}  // namespace

Connection::Step Connection::handle_publish(const wire::Frame& frame) {
    thread_local ByteBuffer properties;
    auto packet = wire::decode_publish(version_, frame.flags, frame.body, properties);
    if (!packet) return Err{packet.error()};
    shard_.counters().publishes_received[static_cast<std::size_t>(packet->qos)].add();
    shard_.counters().publish_bytes_received.add(packet->payload.size());
    if (!packet->properties.subscription_identifiers.empty()) {  // [MQTT-3.3.4-6]
        return Err{WireError{ReasonCode::protocol_error, "PUBLISH: a subscription identifier from a client"}};
    }
    if (auto step = check_receive_maximum(*packet); !step) return step;
    std::string_view topic;
    if (auto step = resolve_topic(*packet, topic); !step) return step;
    hold_to_rate();
    if (const auto refused = refuse_topic(topic)) return refuse_publish(*packet, *refused);
    if (const auto refused = refuse_payload(*packet)) return refuse_publish(*packet, *refused);
    if (lacks_memory_for(*packet)) {
        hold_to_memory();
        return refuse_large(*packet);
    }
    const core::MessagePtr message = freeze(*packet, topic);
    hold_to_memory();
    switch (packet->qos) {
        case QoS::at_most_once:
            publish(message, 0);
            break;
        case QoS::at_least_once:
            accept_qos1(*packet, message);
            break;
        case QoS::exactly_once:
            accept_qos2(*packet, message);
            break;
    }
    return {};
}

core::MessagePtr Connection::freeze(const wire::Publish& packet, std::string_view topic) {
    return core::Message::freeze({.topic = topic,
                                  .properties = packet.forward_properties,
                                  .payload = packet.payload,
                                  .qos = packet.qos,
                                  .retain = packet.retain,
                                  .client_id = slot().client_id,
                                  .user_name = slot().user_name,
                                  .received = shard_.now().wall,
                                  .expiry_interval_s = packet.properties.message_expiry_interval_s});
}

Connection::Step Connection::check_receive_maximum(const wire::Publish& packet) const {
    if (packet.qos == QoS::at_most_once || !is_v5()) return {};
    const core::Session& session = *shard_.slot(id_).session;
    const std::size_t open = publishes_pending_ + session.inbound().size() - inbound_before_.size();
    if (open < receive_maximum_own_) return {};
    if (packet.qos == QoS::exactly_once &&
        (session.has_inbound(packet.packet_id) || shard_.is_open(id_, packet.packet_id)))
        return {};  // repeated
    return Err{WireError{ReasonCode::receive_maximum_exceeded,
                         "more unacknowledged publishes than the Receive Maximum"}};
}

Connection::Step Connection::resolve_topic(wire::Publish& packet, std::string_view& topic) {
    topic = packet.topic;
    const auto alias = packet.properties.topic_alias;
    if (!alias) return {};
    if (*alias > alias_maximum_own_) {  // [MQTT-3.2.2-17]
        return Err{WireError{ReasonCode::topic_alias_invalid, "topic alias above the Topic Alias Maximum"}};
    }
    if (aliases_.size() < *alias) aliases_.resize(*alias);
    std::string& name = aliases_[*alias - 1U];
    if (!topic.empty()) {
        if (auto step = set_alias(name, topic); !step) return step;
    } else if (name.empty()) {
        return Err{WireError{ReasonCode::protocol_error, "a topic alias that was never set"}};
    }
    topic = name;
    return {};
}

Connection::Step Connection::set_alias(std::string& name, std::string_view topic) {
    const std::size_t before = name.capacity();
    if (topic.size() > before && topic.size() > alias_bytes_fair && !shard_.may_keep(topic.size() - before)) {
        return Err{WireError{ReasonCode::quota_exceeded,
                             "the server has no memory for another topic alias (limits.memory_max)"}};
    }
    if (before > topic.size() + alias_bytes_fair) {
        name = std::string(topic);  // gives back what a longer one took
    } else {
        name = topic;
    }
    kept_.set(kept_.bytes() + name.capacity() - before);
    return {};
}

bool Connection::lacks_memory_for(const wire::Publish& packet) {
    return packet.payload.size() > large_payload_bytes && shard_.memory_is_over();
}

Connection::Step Connection::refuse_large(const wire::Publish& packet) {
    const Refused why{Refusal::memory, ReasonCode::quota_exceeded,
                      "the server has no memory for a large message"};
    // Who cannot be told must not take it for delivered [MQTT-3.3.5-2 of 3.1.1]: the connection ends.
    if (!is_v5() && packet.qos != QoS::at_most_once) {
        note_refusal(why);
        return Err{WireError{why.code, why.text}};
    }
    return refuse_publish(packet, why);
}

Connection::Step Connection::refuse_publish(const wire::Publish& packet, const Refused& why) {
    if (is_v5() && packet.qos == QoS::exactly_once) {
        // The first one was let in, whatever is true now. An error would free the id for the client alone
        // [MQTT-4.3.3-9], and the session would take its next message for a repetition.
        if (awaits_pubrec(packet.packet_id) || repeat_open(packet)) return {};
        if (session().has_inbound(packet.packet_id)) {
            repeat_pubrec(packet.packet_id);
            return {};
        }
    }
    note_refusal(why);
    // Before version 5 there is no way to say no: the message is acknowledged and goes nowhere
    // [MQTT-3.3.5-2].
    if (packet.qos == QoS::at_most_once) return {};
    const auto type = packet.qos == QoS::at_least_once ? PacketType::puback : PacketType::pubrec;
    const std::uint64_t cookie = push_ack(type, packet.packet_id);
    PendingAck& ack = ack_at(cookie);
    ack.code = is_v5() ? why.code : ReasonCode::success;
    ack.why = why.text;
    if (packet.qos == QoS::exactly_once && !is_v5()) session().on_publish_qos2(packet.packet_id);
    with_ticket(cookie, [&](TicketId ticket) {
        if (packet.qos != QoS::exactly_once || !shard_.has_arrivals(id_, packet.packet_id)) return;
        shard_.forget_arrivals(id_, packet.packet_id);
        shard_.hold_until_saved(ticket, id_);
    });
    return {};
}

void Connection::publish(const core::MessagePtr& message, TicketId ticket, const OriginPtr& origin) {
    if (!shard_.publish(message, ticket, origin)) hold_to_store();
}

void Connection::accept_qos1(const wire::Publish& packet, const core::MessagePtr& message) {
    const std::uint64_t cookie = push_ack(PacketType::puback, packet.packet_id);
    ack_at(cookie).counts = ack_at(cookie).routed = true;
    ++publishes_pending_;
    with_ticket(cookie, [&](TicketId ticket) { publish(message, ticket); });
}

// Not delivered again, answered again [MQTT-4.3.3-10], once what the first one caused is durable.
void Connection::repeat_pubrec(wire::PacketId id) {
    if (awaits_pubrec(id)) return;
    shard_.save_progress(id_);
    with_ticket(push_ack(PacketType::pubrec, id),
                [&](TicketId ticket) { shard_.hold_until_saved(ticket, id_); });
}

void Connection::accept_qos2(const wire::Publish& packet, const core::MessagePtr& message) {
    if (awaits_pubrec(packet.packet_id)) return;  // repeated while we still work on the first
    if (repeat_open(packet)) return;
    if (session().has_inbound(packet.packet_id)) return repeat_pubrec(packet.packet_id);
    // On one shard the packet id and all that the message causes are one commit. With several, the id must
    // not be on disk before the others have the message, or a crash in between would lose it: it is recorded
    // when they all have answered.
    const bool alone = shard_.is_only_shard();
    const OriginPtr origin = shard_.origin_of(id_, packet.packet_id, *message, packet.dup);
    const std::uint64_t cookie = push_ack(PacketType::pubrec, packet.packet_id);
    PendingAck& ack = ack_at(cookie);
    ack.routed = true;
    if (!alone) {
        ack.unrecorded = ack.counts = true;
        ++publishes_pending_;
    }
    with_ticket(cookie, [&](TicketId ticket) {
        if (alone) {
            (void)shard_.record_inbound(id_, packet.packet_id);
            shard_.hold_until_saved(ticket, id_);
        }
        publish(message, ticket, origin);
    });
}

/// A message of an earlier connection, which this one did not see answered.
bool Connection::repeat_open(const wire::Publish& packet) {
    if (!shard_.is_open(id_, packet.packet_id)) return false;
    const HalfReceived::Open open = shard_.take_open(id_, packet.packet_id);
    const bool refused = open.ticket == 0;
    // Who was refused and has no word for it tries again.
    if (refused && (!is_v5() || !packet.dup)) return false;
    const std::uint64_t cookie = push_ack(PacketType::pubrec, packet.packet_id);
    PendingAck& ack = ack_at(cookie);
    if (!refused) {
        ack.routed = ack.unrecorded = true;
        ack.ticket = open.ticket;
        shard_.tickets().hand_over(open.ticket, *this, cookie);
        note_if_waiting(cookie);
        return true;
    }
    ack.code = open.code;
    ack.refused = true;
    // Behind the batch that forgets what was noted for it.
    shard_.save_progress(id_);
    with_ticket(cookie, [&](TicketId ticket) { shard_.hold_until_saved(ticket, id_); });
    return true;
}

Connection::Step Connection::handle_pubrel(const wire::Frame& frame) {
    const auto packet = wire::decode_ack(version_, PacketType::pubrel, frame.body);
    if (!packet) return Err{packet.error()};
    const bool known = session().on_pubrel(packet->packet_id);
    if (known) inbound_before_.erase(packet->packet_id);
    const std::uint64_t cookie = push_ack(PacketType::pubcomp, packet->packet_id);
    ack_at(cookie).code = known || !is_v5() ? ReasonCode::success : ReasonCode::packet_identifier_not_found;
    const bool has_arrivals = shard_.has_arrivals(id_, packet->packet_id);
    if (!session().durable() || (!known && !has_arrivals)) {
        finish_ack(cookie);
        return {};
    }
    // The id must be forgotten on disk before the client may use it for another message.
    with_ticket(cookie, [&](TicketId ticket) {
        shard_.save_progress(id_);
        if (has_arrivals) shard_.forget_arrivals(id_, packet->packet_id);
        shard_.hold_until_saved(ticket, id_);
    });
    return {};
}

}  // namespace sluice::shard
