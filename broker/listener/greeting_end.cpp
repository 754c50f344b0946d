// How a greeting ends: the verdict about who it is, refusals, and the way out. Who is refused keeps its place
// among the newcomers, as the first to give way, until its socket is closed.
#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include "base/log.hpp"
#include "base/quote.hpp"
#include "listener/greeting.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"

namespace sluice::listener {

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

}  // namespace

void Greeting::drop_after(const std::exception& thrown) noexcept {
    try {
        log::error(fmt::format("{} is dropped: internal error: {}", describe(), thrown.what()));
    } catch (const std::exception&) {
        // Without memory for the line it goes without one.
    }
    abort();
}

void Greeting::turn_away(TurnedAway why, const std::string& what) {
    if (!self_) return;            // it went by itself meanwhile
    if (leaving_) return abort();  // it was counted when it was refused
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
    self_.reset();
}

void Greeting::on_closed(const std::string& why) {
    doors_->lobby->stats.turn_away(TurnedAway::broke_off, log::Level::info,
                                   fmt::format("{} went away before it was let in: {}", describe(), why));
    if (channel_.lingers()) return leave();  // an alert or an error page is on its way
    finish();
}

/// Tells the greeting that its socket is closed, and gives back what the socket held before.
class Greeting::Farewell final : public net::SocketLease {
  public:
    Farewell(std::unique_ptr<net::SocketLease> before, std::weak_ptr<Greeting> greeting)
        : before_(std::move(before)), greeting_(std::move(greeting)) {}
    ~Farewell() override {
        before_.reset();
        if (const auto greeting = greeting_.lock()) greeting->finish();
    }

  private:
    std::unique_ptr<net::SocketLease> before_;
    const std::weak_ptr<Greeting> greeting_;
};

void Greeting::see_off() {
    leave();
    channel_.close_after_flush();
}

void Greeting::leave() {
    leaving_ = true;
    deadline_.cancel();
    if (given_up_) *given_up_ = true;
    held_ = {};
    place_.keep_bytes(0);
    place_.leave();
    auto before = channel_.hold(nullptr);
    channel_.hold(std::make_unique<Farewell>(std::move(before), weak_from_this()));
    // Not now: we may be inside one of them.
    boost::asio::post(context_, [self = shared_from_this()] {
        self->exchange_.reset();
        self->frames_ = wire::FrameReader(0);
        ByteBuffer().swap(self->connect_body_);
    });
}

bool Greeting::refuse_if_crowded() {
    const auto& from = channel_.identity().ip;
    if (!tries_password_ || !from || !doors_->lobby->guesses.is_crowded(*from)) return false;
    refuse(admission_.version, ReasonCode::quota_exceeded,
           "many wrong passwords came from its address, and too many logins from there wait for their answer",
           {}, TurnedAway::guesses);
    return true;
}

Millis Greeting::delay_of(const AuthAnswer& answer) const {
    const auto& from = channel_.identity().ip;
    // Who was not checked ("server busy") learns nothing that it could have guessed.
    if (!tries_password_ || !from || (!answer && !answer.error().guessed)) return Millis(0);
    GuessDamper& guesses = doors_->lobby->guesses;
    const MonoTime now = Now::read().mono;
    if (!answer) guesses.note_wrong(*from, now);
    return guesses.delay(*from, now);
}

void Greeting::on_answer(const AuthAnswer& answer) {
    const Millis delay = delay_of(answer);
    if (delay == Millis(0)) return on_authenticated(answer);
    doors_->lobby->stats.note_held_back(
        fmt::format("{} client {} gets its answer {} ms later: many wrong passwords came from its address",
                    describe(), log::quote(admission_.client_id), delay.count()));
    held_ = doors_->lobby->guesses.hold(*channel_.identity().ip);
    place_.unsettle();
    deadline_.expires_after(delay);
    deadline_.async_wait([weak = weak_from_this(), answer](const boost::system::error_code& error) {
        const auto self = weak.lock();
        if (error || !self) return;
        self->guarded([&] { self->on_authenticated(answer); });
    });
}

void Greeting::on_authenticated(const AuthAnswer& answer) {
    held_ = {};
    if (!answer) {
        const auth::Refusal& refusal = answer.error();
        const bool full =
            refusal.code == ReasonCode::server_busy || refusal.code == ReasonCode::quota_exceeded;
        return refuse(admission_.version, refusal.code, refusal.why, refusal.reason,
                      full ? TurnedAway::logins_full : TurnedAway::refused);
    }
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
    hand_over();
}

void Greeting::refuse(Version version, ReasonCode code, const std::string& why, const std::string& reason,
                      TurnedAway counted) {
    doors_->lobby->stats.turn_away(counted, log::Level::warn,
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
        ByteBuffer out;
        wire::encode_connack(out, version, connack);
        if (out.size() > admission_.maximum_packet_size) {  // [MQTT-3.2.2-19]
            out.clear();
            wire::encode_connack(out, version, {.session_present = false, .code = code, .properties = {}});
        }
        if (out.size() <= admission_.maximum_packet_size) channel_.send(out);  // [MQTT-3.1.2-24]
    }
    see_off();
}

}  // namespace sluice::listener
