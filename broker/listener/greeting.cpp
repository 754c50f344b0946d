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

// Of all newcomers together: unfinished packets, wills and passwords of those that are judged. Unless a
// single packet may be larger: it must find room when nobody else wants any.
constexpr std::size_t kept_bytes_max = 16U << 20;
// And no more than this part of limits.memory_max.
constexpr std::uint64_t memory_part = 8;
// Client id, user name and password are texts of up to 64 KiB each.
constexpr std::size_t kept_besides_packet = 256U << 10;

std::size_t kept_for_newcomers(const shard::Limits& limits) {
    const std::uint64_t budget = limits.memory_max.value_or(0);
    const std::size_t most =
        budget == 0 ? kept_bytes_max : std::min<std::uint64_t>(kept_bytes_max, budget / memory_part);
    return std::max(most, limits.packet_bytes_max + kept_besides_packet);
}

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

void Greeting::on_introduced() {
    const net::PeerIdentity& client = channel_.identity();
    auto lease = doors_->lobby->counts->enter(client.ip, doors_->limits.connections_per_address_max);
    if (lease) {
        channel_.hold(std::move(lease));
        return;
    }
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
    const std::size_t most = kept_for_newcomers(doors_->limits);
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
    if (const auto fault = certificate_fault())
        return refuse(connect->version, ReasonCode::not_authorized, *fault);
    if (connect->properties.authentication_method) return begin_exchange(*connect);
    ask_who(*connect);
}

std::optional<std::string> Greeting::certificate_name() const {
    if (!listener_.tls || listener_.tls->identity == net::TlsIdentity::none) return std::nullopt;
    const net::PeerIdentity& peer = channel_.identity();
    return listener_.tls->identity == net::TlsIdentity::common_name ? peer.common_name : peer.subject;
}

std::optional<std::string> Greeting::certificate_fault() const {
    if (!channel_.identity().certified || !listener_.tls || listener_.tls->identity == net::TlsIdentity::none)
        return std::nullopt;
    if (certificate_name()) return std::nullopt;
    return listener_.tls->identity == net::TlsIdentity::common_name
               ? "its certificate has no usable common name; listener.tls.identity expects exactly one, of "
                 "printable text"
               : "its certificate has no subject to take the user name from (listener.tls.identity)";
}

void Greeting::ask_who(const wire::Connect& connect) {
    auth::Credentials credentials;
    credentials.client_id = admission_.client_id;
    if (connect.user_name) credentials.user_name = std::string(*connect.user_name);
    if (connect.password) credentials.password = std::string(as_text(*connect.password));
    credentials.anonymous_allowed = listener_.anonymous;
    credentials.certificate_name = certificate_name();
    if (const auto& from = channel_.identity().ip) credentials.source = net::text_of(net::counted_as(*from));
    tries_password_ = credentials.user_name && !credentials.certificate_name;
    if (refuse_if_crowded()) return;
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
            boost::asio::post(
                context_, [this, self, answer = std::move(answer)] { guarded([&] { on_answer(answer); }); });
        });
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

}  // namespace sluice::listener
