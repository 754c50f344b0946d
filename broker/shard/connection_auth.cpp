// Re-authentication: a client that came in by an Authentication Method proves again who it is. Everything
// else goes on meanwhile, with the rights that it has [MQTT5 4.12.1].
#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include "base/log.hpp"
#include "base/quote.hpp"
#include "shard/connection.hpp"

namespace sluice::shard {

using wire::ReasonCode;
using wire::WireError;

Connection::Step Connection::handle_auth(const wire::Frame& frame) {
    const auto packet = wire::decode_auth(version_, frame.body);
    if (!packet) return Err{packet.error()};
    const auto broken = [](const char* what) { return Err{WireError{ReasonCode::protocol_error, what}}; };
    if (!enhanced_auth_)  // [MQTT-4.12.0-7]
        return broken("AUTH without an authentication method in CONNECT");
    if (packet->code == ReasonCode::success) return broken("AUTH: a reason code that only a server sends");
    EnhancedAuth& own = *enhanced_auth_;
    if (packet->properties.authentication_method != own.method) {  // [MQTT-4.12.1-1]
        return Err{WireError{ReasonCode::bad_authentication_method,
                             "AUTH: the authentication method is not that of CONNECT"}};
    }
    if (packet->code == ReasonCode::reauthenticate) {
        if (own.exchange) return broken("AUTH: re-authentication while another one is under way");
        own.exchange = shard_.begin_exchange(own.method);
        if (!own.exchange) {  // a reload has taken it away
            return Err{WireError{ReasonCode::bad_authentication_method,
                                 "the authentication method is not offered any more"}};
        }
    } else if (!own.exchange || own.answer_due) {
        return broken("AUTH: nothing was asked that it could continue");
    }
    take_exchange_step(packet->properties.authentication_data);
    return {};
}

void Connection::take_exchange_step(std::optional<Bytes> data) {
    enhanced_auth_->answer_due = true;
    // The answer may come on another thread, and when this connection is gone and its slot somebody else's.
    enhanced_auth_->exchange->step(
        data, [&shard = shard_, id = id_, generation = slot().generation](auth::ExchangeStep step) {
            boost::asio::post(shard.context(), [&shard, id, generation, step = std::move(step)] {
                const Slot& s = shard.slot(id);
                if (s.generation != generation || !s.link) return;
                static_cast<Connection&>(*s.link).on_exchange_step(step);
            });
        });
}

void Connection::on_exchange_step(const auth::ExchangeStep& step) {
    if (gone_) return;
    enhanced_auth_->answer_due = false;
    if (const auto* challenge = std::get_if<auth::Challenge>(&step)) {
        return send_auth(ReasonCode::continue_authentication,
                         challenge->data ? std::optional(Bytes(*challenge->data)) : std::nullopt);
    }
    enhanced_auth_->exchange.reset();
    if (const auto* refusal = std::get_if<auth::Refusal>(&step)) return refuse_reauthentication(*refusal);
    const auto& admitted = std::get<auth::Admitted>(step);
    // A session has one user: what it may, its will and what it has published say so.
    if (admitted.principal.user_name != slot().user_name) {
        return refuse_reauthentication(
            {ReasonCode::not_authorized,
             fmt::format("it authenticated as {}, and was {} before",
                         log::quote(admitted.principal.user_name), log::quote(slot().user_name))});
    }
    log::debug(fmt::format("{} authenticated again as {}", describe(), log::quote(slot().user_name)));
    send_auth(ReasonCode::success,
              admitted.data.empty() ? std::nullopt : std::optional(Bytes(admitted.data)));
}

void Connection::send_auth(ReasonCode code, std::optional<Bytes> data) {
    wire::Auth packet{.code = code, .properties = {}};
    packet.properties.authentication_method = enhanced_auth_->method;  // [MQTT-4.12.0-5]
    packet.properties.authentication_data = data;
    ByteBuffer out;
    wire::encode_auth(out, packet);
    if (out.size() > packet_bytes_max_) {  // [MQTT-3.1.2-24]
        return refuse_reauthentication(
            {ReasonCode::packet_too_large, "its Maximum Packet Size leaves no room for an AUTH packet"});
    }
    write(out);
}

void Connection::refuse_reauthentication(const auth::Refusal& refusal) {
    shard_.counters().reauth_refused.add();
    // DISCONNECT has no code for user names and passwords.
    const ReasonCode code =
        refusal.code == ReasonCode::bad_user_name_or_password ? ReasonCode::not_authorized : refusal.code;
    static log::RateLimit limit(10'000);
    std::uint64_t suppressed = 0;
    if (limit.allow(shard_.now().mono.time_since_epoch().count(), suppressed)) {
        log::warn(fmt::format(
            "{} is disconnected: it failed to authenticate again: {} ({}; {} more such clients before)",
            describe(), refusal.why, name_of(code), suppressed));
    }
    wire::Disconnect disconnect{.code = code, .properties = {}};  // [MQTT-4.12.1-2]
    if (request_problem_information_ && !refusal.reason.empty())
        disconnect.properties.reason_string = refusal.reason;
    ByteBuffer out;
    wire::encode_disconnect(out, version_, disconnect);
    if (out.size() > packet_bytes_max_) {  // [MQTT-3.14.2-3]
        out.clear();
        wire::encode_disconnect(out, version_, {.code = code});
    }
    channel_.send(out);
    channel_.close_after_flush();
    leave(Departure::with_will);
}

}  // namespace sluice::shard
