#include "listener/greeting.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/log.hpp"
#include "base/quote.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"

namespace sluice::listener {

using wire::PacketType;
using wire::ReasonCode;
using wire::Version;

namespace {

/// What is wrong with a client's own packet may be told to it; who may come in, and why not, is told to
/// nobody.
bool is_about_its_packet(ReasonCode code) {
    switch (code) {
        case ReasonCode::malformed_packet:
        case ReasonCode::protocol_error:
        case ReasonCode::unsupported_protocol_version:
        case ReasonCode::client_identifier_not_valid:
        case ReasonCode::topic_name_invalid:
        case ReasonCode::packet_too_large:
        case ReasonCode::payload_format_invalid:
        case ReasonCode::retain_not_supported:
        case ReasonCode::qos_not_supported:
            return true;
        default:
            return false;
    }
}

// Of all newcomers together: unfinished packets, wills and passwords of those that are judged. Unless a
// single packet may be larger: it must find room when nobody else wants any.
constexpr std::size_t kept_bytes_max = 16U << 20;
// Client id, user name and password are texts of up to 64 KiB each.
constexpr std::size_t kept_besides_packet = 256U << 10;

}  // namespace

Greeting::Greeting(boost::asio::io_context& context, std::shared_ptr<const Doorkeeping> doorkeeping,
                   const ListenerSettings& listener, net::Channel channel)
    : context_(context),
      doors_(std::move(doorkeeping)),
      listener_(listener),
      channel_(std::move(channel)),
      frames_(doors_->limits.packet_bytes_max),
      deadline_(context) {}

std::string Greeting::describe() const {
    return fmt::format("listener {}: {}", listener_.place, channel_.identity().address);
}

void Greeting::start() {
    self_ = shared_from_this();
    deadline_.expires_after(doors_->limits.connect_timeout);
    deadline_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
        const auto self = weak.lock();
        if (error || !self || !self->self_) return;
        self->guarded([&] { self->on_deadline(); });
    });
    channel_.start(*this);
}

void Greeting::drop_after(const std::exception& thrown) noexcept {
    try {
        log::error(fmt::format("{} is dropped: internal error: {}", describe(), thrown.what()));
    } catch (const std::exception&) {
        // Without memory for the line it goes without one.
    }
    abort();
}

void Greeting::on_deadline() {
    const auto seconds = doors_->limits.connect_timeout.count();
    if (given_up_) {  // it has done its part
        return refuse(admission_.version, ReasonCode::server_busy,
                      fmt::format("its password was not checked within {} s", seconds));
    }
    turn_away(
        TurnedAway::connect_timeout,
        fmt::format("{} within {} s", exchange_ ? "its authentication did not end" : "no CONNECT", seconds));
}

void Greeting::turn_away(TurnedAway why, const std::string& what) {
    if (!self_) return;  // it went by itself meanwhile
    doors_->lobby->stats.turn_away(why, log::Level::info, fmt::format("{} is refused: {}", describe(), what));
    channel_.abort();
    finish();
}

void Greeting::abort() {
    if (!self_) return;
    channel_.abort();
    finish();
}

void Greeting::finish() {
    deadline_.cancel();
    if (given_up_) *given_up_ = true;
    place_ = {};
    self_.reset();  // the last statement of whoever calls it: `this` may be gone afterwards
}

void Greeting::on_closed(const std::string& why) {
    doors_->lobby->stats.turn_away(TurnedAway::broke_off, log::Level::info,
                                   fmt::format("{} went away before it was let in: {}", describe(), why));
    finish();
}

void Greeting::on_introduced() {
    const net::PeerIdentity& client = channel_.identity();
    auto lease = doors_->lobby->counts->enter(client.ip, doors_->limits.connections_per_address_max);
    if (lease) return channel_.hold(std::move(lease));
    turn_away(TurnedAway::address_full,
              "its address has as many connections as limits.connections_per_address_max allows");
}

void Greeting::on_bytes(Bytes plain) {
    const auto keep = self_;
    (void)take_packet(plain);
}

bool Greeting::take_packet(Bytes plain) {
    bool taken = false;
    const auto cut = frames_.feed(plain, [&](const wire::Frame& frame) {
        taken = true;
        if (exchange_) {
            handle_exchange_packet(frame);
        } else {
            handle_first_packet(frame);
        }
        return false;  // what follows the last of ours is the shard's to read
    });
    if (taken) return true;
    if (cut) {
        if (!is_awaited_type()) {
            refuse_other_packet();
            return true;
        }
        return !note_kept_bytes();
    }
    refuse(exchange_ ? Version::v5 : Version::v3_1_1, cut.error().code, cut.error().what);
    return true;
}

// Known from its first byte: nothing is kept of what would be refused anyway.
bool Greeting::is_awaited_type() const {
    const Bytes begun = frames_.pending();
    if (begun.empty()) return true;
    const auto type = static_cast<PacketType>(begun[0] >> 4);
    if (!exchange_) return type == PacketType::connect;
    return type == PacketType::auth || type == PacketType::disconnect;
}

void Greeting::refuse_other_packet() {
    if (!exchange_)  // [MQTT-3.1.0-1]
        return turn_away(TurnedAway::no_connect, "the first packet is not CONNECT");
    refuse(Version::v5, ReasonCode::protocol_error,  // [MQTT-3.1.2-30]
           "before CONNACK only AUTH and DISCONNECT may come");
}

bool Greeting::note_kept_bytes() {
    const std::size_t most = std::max(kept_bytes_max, doors_->limits.packet_bytes_max + kept_besides_packet);
    Newcomers& newcomers = doors_->lobby->newcomers;
    place_.keep_bytes(frames_.pending().size() + connect_body_.size() + credential_bytes_);
    bool pushed_out = false;
    while (!pushed_out && newcomers.kept_bytes() > most) {
        const auto largest = newcomers.push_out_largest();
        if (!largest) break;  // all that is left is judged already
        pushed_out = largest.get() == this;
        boost::asio::post(largest->context(), [largest] {
            largest->turn_away(TurnedAway::newcomers_full,
                               "it gives way: too much is kept for clients that are not let in yet");
        });
    }
    return !pushed_out && newcomers.kept_bytes() <= most;
}

void Greeting::keep_only_will(const wire::Connect& connect) {
    ByteBuffer body;
    if (connect.will) {
        wire::Connect lean;
        lean.version = connect.version;
        lean.clean_start = connect.clean_start;
        lean.client_id = connect.client_id;
        lean.will = connect.will;
        ByteBuffer packet;
        wire::encode_connect(packet, lean);
        const auto frame = wire::cut_frame(packet, SIZE_MAX, connect.version);
        body.assign((*frame)->body.begin(), (*frame)->body.end());
    }
    connect_body_.swap(body);
}

void Greeting::handle_first_packet(const wire::Frame& frame) {
    if (frame.type != PacketType::connect) return refuse_other_packet();
    channel_.pause_reading();
    connect_body_.assign(frame.body.begin(), frame.body.end());
    const auto connect = wire::decode_connect(connect_body_);
    if (!connect) {
        const auto version = wire::peek_version(connect_body_);
        return refuse(version.value_or(Version::v3_1_1), connect.error().code, connect.error().what);
    }
    admission_.client_id = connect->client_id;
    admission_.maximum_packet_size = connect->properties.maximum_packet_size.value_or(UINT32_MAX);
    auto judged = judge_connect(*connect, doors_->limits,
                                connect->client_id.empty() ? make_client_id() : std::string());
    if (!judged) return refuse(connect->version, judged.error().code, judged.error().why);
    admission_ = std::move(judged).value();
    if (connect->properties.authentication_method) return begin_exchange(*connect);
    ask_who(*connect);
}

std::optional<std::string> Greeting::certificate_name() const {
    if (!listener_.tls || listener_.tls->identity == net::TlsIdentity::none) return std::nullopt;
    const net::PeerIdentity& peer = channel_.identity();
    return listener_.tls->identity == net::TlsIdentity::common_name ? peer.common_name : peer.subject;
}

void Greeting::ask_who(const wire::Connect& connect) {
    auth::Credentials credentials;
    credentials.client_id = admission_.client_id;
    if (connect.user_name) credentials.user_name = std::string(*connect.user_name);
    if (connect.password) credentials.password = std::string(as_text(*connect.password));
    credentials.anonymous_allowed = listener_.anonymous;
    credentials.certificate_name = certificate_name();
    // Answered in time for the deadline, and for clients that give up before it.
    credentials.patience = std::chrono::milliseconds(doors_->limits.connect_timeout) / 2;
    credentials.given_up = given_up_ = std::make_shared<std::atomic<bool>>(false);
    credential_bytes_ = credentials.client_id.size() + credentials.user_name.value_or("").size() +
                        credentials.password.value_or("").size();
    keep_only_will(connect);
    place_.settle();
    if (!note_kept_bytes()) {
        return refuse(admission_.version, ReasonCode::server_busy,
                      "too much is kept for clients that are not let in yet");
    }
    doors_->authenticator->authenticate(
        credentials, [this, self = shared_from_this()](Result<auth::Principal, auth::Refusal> answer) {
            // It may come on the thread that hashes passwords.
            boost::asio::post(context_, [this, self, answer = std::move(answer)] {
                guarded([&] { on_authenticated(answer); });
            });
        });
}

void Greeting::on_authenticated(const Result<auth::Principal, auth::Refusal>& answer) {
    if (!answer) return refuse(admission_.version, answer.error().code, answer.error().why);
    admission_.user_name = answer->user_name;
    if (!connect_body_.empty()) {  // there is a will
        const auto connect = wire::decode_connect(connect_body_);
        const wire::Will& will = *connect->will;
        if (!doors_->authorizer->allows(auth::Action::publish, admission_.user_name, admission_.client_id,
                                        will.topic)) {
            return refuse(admission_.version, ReasonCode::not_authorized, "it may not publish its will");
        }
        admission_.will = shard::AdmittedWill{
            freeze_will(will, admission_.client_id, admission_.user_name, Now::read().wall),
            will.properties.will_delay_interval_s.value_or(0)};
    }
    if (doors_->inlets->connections() >= doors_->limits.connections_max) {
        const bool elsewhere = !doors_->limits.server_reference.empty();
        return refuse(admission_.version,
                      elsewhere ? ReasonCode::use_another_server : ReasonCode::server_busy,
                      "limits.connections_max is reached", "the server has as many clients as it may have");
    }
    hand_over();
}

void Greeting::hand_over() {
    const net::PeerIdentity& peer = channel_.identity();
    doors_->lobby->stats.note_let_in(
        fmt::format("client {} connected from {} user={} mqtt={}{}{}", log::quote(admission_.client_id),
                    peer.address, log::quote(admission_.user_name), static_cast<int>(admission_.version),
                    peer.tls_version.empty() ? "" : " ", peer.tls_version));
    admission_.channel = channel_.detach(frames_.pending());
    doors_->inlets->home_of(admission_.client_id).post_admission(std::move(admission_));
    finish();
}

void Greeting::refuse(Version version, ReasonCode code, const std::string& why, const std::string& reason) {
    doors_->lobby->stats.turn_away(TurnedAway::refused, log::Level::warn,
                                   fmt::format("{} client {} is refused: {} ({})", describe(),
                                               log::quote(admission_.client_id), why, wire::name_of(code)));
    // Before version 5 a CONNECT that does not conform gets no CONNACK [MQTT-3.1.4-1 of 3.1.1]; what is no
    // CONNECT at all may come from a peer that does not speak MQTT.
    const bool conforms = code != ReasonCode::malformed_packet && code != ReasonCode::protocol_error &&
                          code != ReasonCode::packet_too_large;
    if (version == Version::v5 || conforms) {
        wire::Connack connack{.session_present = false, .code = code, .properties = {}};  // [MQTT-3.2.2-6]
        if (!reason.empty()) connack.properties.reason_string = reason;
        if (reason.empty() && is_about_its_packet(code)) connack.properties.reason_string = why;
        if (code == ReasonCode::use_another_server)
            connack.properties.server_reference = doors_->limits.server_reference;
        ByteBuffer out;
        wire::encode_connack(out, version, connack);
        if (out.size() > admission_.maximum_packet_size) {  // [MQTT-3.2.2-19]
            out.clear();
            wire::encode_connack(out, version, {.session_present = false, .code = code, .properties = {}});
        }
        if (out.size() <= admission_.maximum_packet_size) channel_.send(out);  // [MQTT-3.1.2-24]
    }
    channel_.close_after_flush();
    finish();
}

}  // namespace sluice::listener
