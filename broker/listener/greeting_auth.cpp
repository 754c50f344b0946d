// Enhanced authentication: the AUTH packets between CONNECT and CONNACK. The deadline of the greeting holds
// for all of it.
#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include "base/log.hpp"
#include "base/quote.hpp"
#include "listener/greeting.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"

namespace sluice::listener {

using wire::PacketType;
using wire::ReasonCode;
using wire::Version;

void Greeting::begin_exchange(const wire::Connect& connect) {
    exchange_ = doors_->authenticator->begin_exchange(admission_.authentication_method);
    if (!exchange_) {
        return refuse(Version::v5, ReasonCode::bad_authentication_method,  // [MQTT-4.12.0-1]
                      fmt::format("authentication method {} is not offered",
                                  log::quote(admission_.authentication_method)));
    }
    tries_password_ = true;
    if (refuse_if_crowded()) return;
    // Its place is not settled: it still owes us packets, and gives way when too many do.
    take_exchange_step(connect.properties.authentication_data);
    keep_only_will(connect);
    (void)note_kept_bytes();
}

void Greeting::handle_exchange_packet(const wire::Frame& frame) {
    channel_.pause_reading();
    if (frame.type == PacketType::disconnect) {
        doors_->lobby->stats.turn_away(TurnedAway::broke_off, log::Level::info,
                                       fmt::format("{} client {} left before it had proved who it is",
                                                   describe(), log::quote(admission_.client_id)));
        return see_off();
    }
    const auto fail = [this](const wire::WireError& error) { refuse(Version::v5, error.code, error.what); };
    if (frame.type != PacketType::auth) return refuse_other_packet();
    const auto packet = wire::decode_auth(Version::v5, frame.body);
    if (!packet) return fail(packet.error());
    if (packet->code != ReasonCode::continue_authentication)  // [MQTT-4.12.0-3]
        return fail({ReasonCode::protocol_error, "AUTH: only \"continue authentication\" may come here"});
    if (packet->properties.authentication_method != admission_.authentication_method) {  // [MQTT-4.12.0-5]
        return fail({ReasonCode::bad_authentication_method,
                     "AUTH: the authentication method is not that of CONNECT"});
    }
    take_exchange_step(packet->properties.authentication_data);
}

void Greeting::take_exchange_step(std::optional<Bytes> data) {
    exchange_->step(data, [this, self = shared_from_this()](auth::ExchangeStep step) {
        // It may come on another thread, or from inside the call.
        boost::asio::post(context_,
                          [this, self, step = std::move(step)] { guarded([&] { on_exchange_step(step); }); });
    });
}

void Greeting::on_exchange_step(const auth::ExchangeStep& step) {
    if (const auto* challenge = std::get_if<auth::Challenge>(&step)) return send_challenge(*challenge);
    if (const auto* refusal = std::get_if<auth::Refusal>(&step))  // [MQTT-4.12.0-4]
        return on_answer(Err{*refusal});
    const auto& admitted = std::get<auth::Admitted>(step);
    const auto certified = certificate_name();
    if (certified && *certified != admitted.principal.user_name) {
        return refuse(Version::v5, ReasonCode::not_authorized,
                      fmt::format("it authenticated as {}, but its certificate says {}",
                                  log::quote(admitted.principal.user_name), log::quote(*certified)));
    }
    admission_.authentication_data = admitted.data;
    on_answer(admitted.principal);
}

void Greeting::send_challenge(const auth::Challenge& challenge) {
    wire::Auth packet{.code = ReasonCode::continue_authentication, .properties = {}};  // [MQTT-4.12.0-2]
    packet.properties.authentication_method = admission_.authentication_method;        // [MQTT-4.12.0-5]
    if (challenge.data) packet.properties.authentication_data = Bytes(*challenge.data);
    ByteBuffer out;
    wire::encode_auth(out, packet);
    if (out.size() > admission_.maximum_packet_size) {  // [MQTT-3.1.2-24]
        return refuse(Version::v5, ReasonCode::packet_too_large,
                      "its Maximum Packet Size leaves no room for an AUTH packet");
    }
    channel_.send(out);
    channel_.flush();
    // The answer may be here already: what came behind CONNECT was kept.
    if (!take_packet({})) channel_.resume_reading();
}

}  // namespace sluice::listener
