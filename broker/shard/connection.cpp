#include "shard/connection.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "base/log.hpp"
#include "base/quote.hpp"

namespace sluice::shard {

using wire::PacketType;
using wire::ReasonCode;
using wire::WireError;

namespace {

// Above it, what may wait does: retained messages.
constexpr std::uint64_t waiting_mark = 256 * 1024;

/// The encoder's scratch space of this thread.
ByteBuffer& scratch() {
    thread_local ByteBuffer buffer;
    buffer.clear();
    return buffer;
}

/// Reason codes that a client may send in DISCONNECT [MQTT5 table 3-10].
bool client_may_disconnect_with(ReasonCode code) {
    switch (code) {
        case ReasonCode::success:
        case ReasonCode::disconnect_with_will:
        case ReasonCode::unspecified_error:
        case ReasonCode::malformed_packet:
        case ReasonCode::protocol_error:
        case ReasonCode::implementation_specific_error:
        case ReasonCode::topic_name_invalid:
        case ReasonCode::receive_maximum_exceeded:
        case ReasonCode::topic_alias_invalid:
        case ReasonCode::packet_too_large:
        case ReasonCode::message_rate_too_high:
        case ReasonCode::quota_exceeded:
        case ReasonCode::administrative_action:
        case ReasonCode::payload_format_invalid:
            return true;
        default:
            return false;
    }
}

}  // namespace

Connection::Connection(Shard& shard, core::SubscriberId id, Admission admission)
    : shard_(shard),
      id_(id),
      channel_(shard.context(), std::move(admission.channel)),
      address_(channel_.take_identity().address),
      frames_(shard.limits().packet_bytes_max),
      version_(admission.version),
      client_id_assigned_(admission.client_id_assigned),
      session_expiry_changed_(admission.session_expiry_changed),
      request_problem_information_(admission.request_problem_information),
      receive_maximum_(std::min(admission.receive_maximum, shard.limits().inflight_max)),
      receive_maximum_own_(shard.limits().receive_maximum),
      alias_maximum_own_(shard.limits().topic_alias_maximum),
      keep_alive_s_(keep_alive_for(admission.keep_alive_s, shard.limits().keep_alive_max)),
      keep_alive_changed_(keep_alive_s_ != admission.keep_alive_s),
      out_alias_maximum_(std::min(admission.topic_alias_maximum, shard.limits().topic_alias_out_max)),
      packet_bytes_max_(admission.maximum_packet_size) {
    frames_.set_version(version_);
    if (!admission.authentication_method.empty()) {
        enhanced_auth_ = std::make_unique<EnhancedAuth>();
        enhanced_auth_->method = std::move(admission.authentication_method);
        enhanced_auth_->connack_data = std::move(admission.authentication_data);
    }
}

Connection::~Connection() = default;

std::string Connection::describe() {
    return fmt::format("client {} at {}", log::quote(slot().client_id), address_);
}

void Connection::open(bool session_present) {
    if (!send_connack(session_present)) return;
    answered_ = true;
    if (is_v5()) inbound_before_ = session().inbound();
    core::Effects& effects = shard_.begin_step();
    session().attach(receive_maximum_, shard_.now(), effects);
    shard_.execute(id_, effects);
    last_received_ = shard_.now().mono;
    if (keep_alive_s_ > 0) on_keep_alive_due();
    channel_.start(*this);
}

bool Connection::send_connack(bool session_present) {
    wire::Connack connack;
    connack.session_present = session_present;
    wire::Properties& p = connack.properties;
    p.receive_maximum = receive_maximum_own_;
    p.maximum_packet_size = static_cast<std::uint32_t>(frames_.packet_bytes_max());
    p.topic_alias_maximum = alias_maximum_own_;
    if (client_id_assigned_) p.assigned_client_identifier = slot().client_id;  // [MQTT-3.2.2-16]
    if (session_expiry_changed_) p.session_expiry_interval_s = slot().expiry_interval_s;
    if (keep_alive_changed_) p.server_keep_alive_s = keep_alive_s_;  // [MQTT-3.1.2-21]
    if (enhanced_auth_) {                                            // [MQTT-4.12.0-5], [MQTT-4.12.0-6]
        p.authentication_method = enhanced_auth_->method;
        if (!enhanced_auth_->connack_data.empty())
            p.authentication_data = Bytes(enhanced_auth_->connack_data);
    }
    ByteBuffer& out = scratch();
    wire::encode_connack(out, version_, connack);
    if (out.size() > packet_bytes_max_) {  // [MQTT-3.1.2-24]
        // A client that is not told of a Topic Alias Maximum uses none, so this one can be spared.
        p.topic_alias_maximum.reset();
        out.clear();
        wire::encode_connack(out, version_, connack);
    }
    if (out.size() > packet_bytes_max_) {
        log::warn(fmt::format("{} is disconnected: its Maximum Packet Size of {} is too small for CONNACK",
                              describe(), packet_bytes_max_));
        channel_.close_after_flush();
        leave(Departure::clean);  // it never was connected
        return false;
    }
    write(out);
    if (enhanced_auth_) ByteBuffer().swap(enhanced_auth_->connack_data);
    return true;
}

void Connection::write(Bytes bytes) {
    if (bytes.size() > packet_bytes_max_) {  // [MQTT-3.1.2-24]
        // Whoever waits for this answer waits for ever; but the caller is in the middle of a step.
        unsendable_ = true;
        shard_.mark_dirty(id_);
        return;
    }
    channel_.send(bytes);
    output_.queued_answer(bytes.size());
    shard_.counters().bytes_sent.add(bytes.size());
    shard_.counters().packets_sent.add();
    shard_.mark_dirty(id_);
}

OutboundAliases* Connection::out_aliases() {
    if (out_alias_maximum_ == 0) return nullptr;  // [MQTT-3.1.2-27]
    if (!out_aliases_) out_aliases_ = std::make_unique<OutboundAliases>(out_alias_maximum_);
    return out_aliases_.get();
}

Link::Delivered Connection::deliver(const core::Send& send) {
    if (gone_) return Delivered::taken;
    ByteBuffer& out = scratch();
    if (send.kind == core::Send::Kind::pubrel) {
        wire::encode_ack(out, version_, PacketType::pubrel, {.packet_id = send.packet_id, .code = send.code});
        write(out);
        return Delivered::taken;
    }
    if (send.qos == wire::QoS::at_most_once && !takes_within(shard_.limits().write_buffer_bytes_max))
        return Delivered::congested;
    if (send.qos == wire::QoS::at_most_once && !keeps_up()) return Delivered::no_memory;
    const core::Message& message = *send.message;
    OutboundAliases* aliases = out_aliases();
    OutboundAliases::Choice alias = aliases ? aliases->choose(message.topic()) : OutboundAliases::Choice{};
    wire::PublishHead head;
    head.version = version_;
    head.qos = send.qos;
    head.retain = send.retain;
    head.dup = send.dup;
    head.packet_id = send.packet_id;
    head.expiry_interval_s = message.remaining_expiry_s(shard_.now().wall);
    head.subscription_identifiers = send.subscription_identifiers;
    std::size_t packet_bytes = 0, first = 0;
    const auto encode = [&] {
        out.clear();
        if (alias.alias != 0) head.topic_alias = alias.alias;
        first =
            wire::encode_publish_head(out, head, alias.known ? 0 : message.topic().size(),
                                      message.properties().size(), message.payload().size(), packet_bytes);
    };
    encode();
    if (packet_bytes > packet_bytes_max_ && alias.alias != 0 && !alias.known) {
        // To tell the client an alias costs three bytes that may be too many.
        alias = {};
        head.topic_alias.reset();
        encode();
    }
    if (packet_bytes > packet_bytes_max_) return Delivered::too_large;  // [MQTT-3.1.2-24]
    if (aliases) aliases->sent(alias, message.topic());
    channel_.send({{Bytes(out).first(first)},
                   {alias.known ? Bytes{} : as_bytes(message.topic()), true},
                   {Bytes(out).subspan(first)},
                   {is_v5() ? message.properties() : Bytes{}, true},
                   {message.payload(), true}},
                  send.message);
    output_.queued_message(packet_bytes);
    shard_.counters().bytes_sent.add(packet_bytes);
    shard_.counters().packets_sent.add();
    return Delivered::taken;
}

// What nobody has tried to write yet says nothing of the client.
bool Connection::takes_within(std::uint64_t bytes) {
    if (channel_.unsent_bytes() <= bytes) return true;
    channel_.flush();
    return channel_.unsent_bytes() <= bytes;
}

bool Connection::has_room() {
    return gone_ || takes_within(std::min(waiting_mark, shard_.limits().write_buffer_bytes_max / 2));
}

void Connection::flush(Now /*now*/) {
    if (gone_) return;
    if (unsendable_)
        fail({ReasonCode::packet_too_large, "an answer is larger than the client's Maximum Packet Size"});
    if (gone_) return;
    channel_.flush();
    backlog_bytes_ = channel_.unsent_bytes();
    on_output_left();
}

void Connection::end(ReasonCode reason) {
    if (gone_) return;
    gone_ = true;
    cancel_tickets();
    ByteBuffer& out = scratch();
    if (!answered_) {
        // No DISCONNECT before CONNACK [MQTT-3.14.0-1], and none of the reasons is one for CONNACK.
        wire::encode_connack(out, version_, {.code = ReasonCode::server_unavailable, .properties = {}});
    } else if (is_v5()) {
        wire::encode_disconnect(out, version_, {.code = reason});
    }
    if (out.size() <= packet_bytes_max_) channel_.send(out);
    channel_.close_after_flush();
}

void Connection::leave(Departure how) {
    if (gone_) return;
    gone_ = true;
    cancel_tickets();
    shard_.depart(id_, how);
}

void Connection::fail(const WireError& error) {
    if (gone_) return;
    shard_.counters().protocol_errors.add();
    log::info(fmt::format("{} is disconnected: {} ({})", describe(), error.what, name_of(error.code)));
    if (is_v5()) {
        wire::Disconnect disconnect{.code = error.code, .properties = {}};
        if (request_problem_information_) disconnect.properties.reason_string = error.what;
        ByteBuffer& out = scratch();
        wire::encode_disconnect(out, version_, disconnect);
        if (out.size() > packet_bytes_max_) {  // [MQTT-3.14.2-3]
            out.clear();
            wire::encode_disconnect(out, version_, {.code = error.code});
        }
        if (out.size() <= packet_bytes_max_) channel_.send(out);
    }
    channel_.close_after_flush();
    leave(Departure::with_will);
}

void Connection::on_closed(const std::string& why) {
    if (gone_) return;
    log::debug(fmt::format("{} went away: {}", describe(), why));
    feed_held();
    leave(Departure::with_will);
}

void Connection::on_writable() {
    backlog_bytes_ = 0;
    on_output_left();
    if (!gone_) shard_.go_on_with_retained(id_);
}

Connection::Step Connection::handle(const wire::Frame& frame) {
    switch (frame.type) {
        case PacketType::publish:
            return handle_publish(frame);
        case PacketType::puback:
            return handle_puback(frame);
        case PacketType::pubrec:
            return handle_pubrec(frame);
        case PacketType::pubrel:
            return handle_pubrel(frame);
        case PacketType::pubcomp:
            return handle_pubcomp(frame);
        case PacketType::subscribe:
            return handle_subscribe(frame);
        case PacketType::unsubscribe:
            return handle_unsubscribe(frame);
        case PacketType::pingreq:
            return handle_pingreq();
        case PacketType::disconnect:
            return handle_disconnect(frame);
        case PacketType::connect:  // [MQTT-3.1.0-2]
            return Err{WireError{ReasonCode::protocol_error, "a second CONNECT"}};
        case PacketType::auth:
            return handle_auth(frame);
        default:
            return Err{WireError{ReasonCode::protocol_error, "a packet that only a server sends"}};
    }
}

Connection::Step Connection::handle_pingreq() {
    // Clients ask in order to know that they have had everything.
    shard_.catch_up_with_mail();
    if (gone_) return {};
    ByteBuffer& out = scratch();
    wire::encode_pingresp(out);  // [MQTT-3.12.4-1]
    write(out);
    return {};
}

Connection::Step Connection::handle_disconnect(const wire::Frame& frame) {
    const auto packet = wire::decode_disconnect(version_, frame.body);
    if (!packet) return Err{packet.error()};
    if (!client_may_disconnect_with(packet->code)) {
        return Err{
            WireError{ReasonCode::protocol_error, "DISCONNECT: a reason code that only a server sends"}};
    }
    if (const auto expiry = packet->properties.session_expiry_interval_s) {
        if (slot().expiry_interval_s == 0 && *expiry != 0) {
            return Err{
                WireError{ReasonCode::protocol_error, "DISCONNECT: session expiry set after CONNECT said 0"}};
        }
        const auto longest = static_cast<std::uint32_t>(shard_.limits().session_expiry_max.count());
        shard_.set_session_expiry(id_, std::min(*expiry, longest));
    }
    channel_.close_after_flush();
    // Only a normal disconnection discards the will [MQTT-3.14.4-3].
    leave(packet->code == ReasonCode::success ? Departure::clean : Departure::with_will);
    return {};
}

}  // namespace sluice::shard
