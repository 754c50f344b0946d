#include "bridge/mqtt/connection.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <array>
#include <utility>

#include "wire/decode.hpp"

namespace sluice::bridge::mqtt {
namespace {

using std::chrono::milliseconds;

std::string with_reason(std::string text, const wire::Properties& properties) {
    if (properties.reason_string && !properties.reason_string->empty())
        text += fmt::format(": {}", *properties.reason_string);
    if (properties.server_reference)
        text += fmt::format("; it names another server: {}", *properties.server_reference);
    return text;
}

/// Of a DISCONNECT. Most codes are about the server or the connection as a whole.
Ending ending_of(wire::ReasonCode code) {
    using wire::ReasonCode;
    if (is_for_good(code)) return Ending::message;
    const bool is_vague = code == ReasonCode::unspecified_error || code == ReasonCode::malformed_packet ||
                          code == ReasonCode::protocol_error ||
                          code == ReasonCode::implementation_specific_error;
    return is_vague ? Ending::hung_up : Ending::other;
}

}  // namespace

bool is_for_good(wire::ReasonCode code) {
    using wire::ReasonCode;
    return code == ReasonCode::not_authorized || code == ReasonCode::topic_name_invalid ||
           code == ReasonCode::packet_too_large || code == ReasonCode::payload_format_invalid ||
           code == ReasonCode::retain_not_supported || code == ReasonCode::qos_not_supported;
}

std::string to_text(wire::ReasonCode code) {
    const std::string_view name = wire::name_of(code);
    return fmt::format("{} (reason code {:#04x})", name.empty() ? "unknown reason" : name,
                       static_cast<unsigned>(code));
}

Connection::Connection(wire::Version version, std::uint32_t packet_bytes_max)
    : version_(version), reader_(packet_bytes_max) {
    reader_.set_version(version);
}

Result<std::unique_ptr<Connection>, std::string> Connection::open(const MqttSettings& settings,
                                                                  const ServerAddress& server,
                                                                  const Hello& hello, Worker& worker) {
    const auto deadline = Steady::now() + settings.connect_timeout;
    auto socket = ClientSocket::open(server, settings.tls, worker, deadline);
    if (!socket) return Err{socket.error()};
    const auto version = settings.protocol == Protocol::v5 ? wire::Version::v5 : wire::Version::v3_1_1;
    std::unique_ptr<Connection> connection(new Connection(version, settings.packet_bytes_max));
    connection->stream_ = std::make_unique<Stream>(std::move(socket).value());
    connection->limits_.keep_alive = settings.keep_alive;
    connection->send_connect(settings, hello);
    if (auto taken = connection->await_connack(worker, deadline, settings); !taken)
        return Err{fmt::format("{}: {}", to_text(server), taken.error())};
    const auto now = Steady::now();
    connection->last_received_ = connection->last_sent_ = connection->last_headway_ = now;
    connection->opened_at_ = now;
    return connection;
}

void Connection::send_connect(const MqttSettings& settings, const Hello& hello) {
    wire::Connect connect{.version = version_,
                          .clean_start = hello.clean_start,
                          .keep_alive_s = static_cast<std::uint16_t>(
                              std::chrono::duration_cast<std::chrono::seconds>(settings.keep_alive).count()),
                          .client_id = hello.client_id};
    if (!settings.user.empty()) connect.user_name = settings.user;
    if (!settings.password.empty()) connect.password = as_bytes(settings.password);
    if (hello.session_expiry_s > 0) connect.properties.session_expiry_interval_s = hello.session_expiry_s;
    if (hello.receive_maximum > 0) connect.properties.receive_maximum = hello.receive_maximum;
    connect.properties.maximum_packet_size = settings.packet_bytes_max;
    ByteBuffer packet;
    wire::encode_connect(packet, connect);
    send(packet);
}

Result<void, std::string> Connection::await_connack(Worker& worker, Steady::time_point deadline,
                                                    const MqttSettings& settings) {
    const bool bare = settings.tls.enabled() && settings.tls.certificate.empty();
    bool taken = false;
    const auto on_frame = [&](const wire::Frame& frame) {
        if (taken) return false;
        taken = true;
        problem_ = take_connack(frame, settings.user);
        return false;  // what follows is for the engine
    };
    ByteBuffer received;
    for (;;) {
        received.clear();
        const bool alive = stream_->flush() && stream_->read(received);
        if (const auto fed = reader_.feed(received, on_frame); !fed)
            return Err{fmt::format("the server does not speak MQTT: {}", fed.error().what)};
        if (taken && problem_.empty()) return {};
        if (taken) return Err{std::exchange(problem_, {})};
        // TLS 1.3 lets a client in before its certificate is judged; the verdict may be lost with the socket.
        if (!alive)
            return Err{fmt::format("no answer to CONNECT: {}{}", stream_->problem(),
                                   bare ? "; perhaps it wants a client certificate (`certificate`)" : "")};
        if (worker.stopping()) return Err{std::string("stopping")};
        const auto left = std::chrono::ceil<milliseconds>(deadline - Steady::now());
        if (left.count() <= 0) return Err{std::string("the server does not answer CONNECT (timed out)")};
        wait(worker, left);
    }
}

std::string Connection::take_connack(const wire::Frame& frame, const std::string& user) {
    if (frame.type != wire::PacketType::connack)
        return fmt::format("the server answers CONNECT with packet type {}; expected CONNACK",
                           static_cast<int>(frame.type));
    const auto connack = wire::decode_connack(version_, frame.body);
    if (!connack) {
        // A server of version 3 answers a CONNECT of version 5 in its own form [MQTT-3.1.2-2].
        if (version_ == wire::Version::v5 && frame.body.size() == 2 && frame.body[1] == 1)
            return "the server does not know MQTT 5; expected protocol = \"3.1.1\" for it";
        return fmt::format("the server sent a bad CONNACK: {}", connack.error().what);
    }
    const wire::Properties& properties = connack->properties;
    if (wire::is_error(connack->code))
        return with_reason(fmt::format("the server refuses the connection as {}: {}",
                                       user.empty() ? "nobody (no `user` is set)" : "user '" + user + "'",
                                       to_text(connack->code)),
                           properties);
    limits_.session_present = connack->session_present;
    limits_.receive_maximum = properties.receive_maximum.value_or(65535);
    limits_.packet_bytes_max = properties.maximum_packet_size.value_or(limits_.packet_bytes_max);
    limits_.qos_max = static_cast<wire::QoS>(properties.maximum_qos.value_or(2));
    limits_.retain_available = properties.retain_available.value_or(true);
    if (properties.server_keep_alive_s.value_or(0) > 0)  // [MQTT-3.2.2-21]
        limits_.keep_alive = std::chrono::seconds(*properties.server_keep_alive_s);
    return {};
}

bool Connection::flush() {
    if (!problem_.empty()) return false;
    if (!stream_->flush()) lose();
    if (stream_->written_bytes() != written_seen_) {
        written_seen_ = stream_->written_bytes();
        last_sent_ = Steady::now();
    }
    return problem_.empty();
}

bool Connection::service(const std::function<void(const wire::Frame&)>& on_frame) {
    flush();
    ByteBuffer received;
    // Also when nothing can be sent: the server may say why.
    const bool alive = !(listens_ || ended_) || stream_->read(received);
    if (!received.empty() || !listens_) last_received_ = Steady::now();
    const auto fed = reader_.feed(received, [&](const wire::Frame& frame) {
        take(frame, on_frame);
        return true;
    });
    if (!fed) break_off(fmt::format("the server sent a bad packet: {}", fed.error().what));
    if (!alive) lose();
    keep_alive();
    return flush();
}

void Connection::take(const wire::Frame& frame, const std::function<void(const wire::Frame&)>& on_frame) {
    if (frame.type == wire::PacketType::pingresp) {
        ping_open_ = false;
        proved_ = true;
    } else if (frame.type == wire::PacketType::disconnect) {
        take_disconnect(frame);
    } else {
        on_frame(frame);
    }
}

void Connection::take_disconnect(const wire::Frame& frame) {
    const auto disconnect = wire::decode_disconnect(version_, frame.body);
    ending_ = disconnect ? ending_of(disconnect->code) : Ending::other;
    problem_ = disconnect ? with_reason(
                                fmt::format("the server ended the connection: {}", to_text(disconnect->code)),
                                disconnect->properties)
                          : "the server ended the connection";
}

void Connection::lose() {
    if (!problem_.empty()) return;
    problem_ = fmt::format("the connection is lost: {}", stream_->problem());
    ending_ = stream_->is_closed_by_peer() ? Ending::hung_up : Ending::other;
}

/// The first problem is the cause; what follows comes of it.
void Connection::break_off(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
}

/// [MQTT-3.1.2-22]. A server counts as silent when neither it has sent a byte nor its machine has taken one
/// of ours: a ping may stand behind a large packet on a slow link.
void Connection::keep_alive() {
    const auto now = Steady::now();
    if (!ping_open_ || !listens_) {
        const auto last_sent = std::max(last_sent_, ping_sent_);
        if (now - std::min(last_received_, last_sent) >= limits_.keep_alive / 2) ping();
        return;
    }
    if (const auto acknowledged = stream_->acknowledged_bytes(); acknowledged != acknowledged_bytes_) {
        acknowledged_bytes_ = acknowledged;
        last_headway_ = now;
    }
    if (now - std::max({ping_sent_, last_received_, last_headway_}) > limits_.keep_alive)
        break_off(fmt::format("the server has shown no sign of life for {} s (keep_alive)",
                              std::chrono::ceil<std::chrono::seconds>(now - last_received_).count()));
}

void Connection::ping() {
    if (ping_open_ && listens_) return;
    ByteBuffer ping;
    wire::encode_pingreq(ping);
    send(ping);
    ping_open_ = true;
    ping_sent_ = last_headway_ = Steady::now();
    acknowledged_bytes_ = stream_->acknowledged_bytes();
}

void Connection::wait(Worker& worker, milliseconds longest) {
    if (listens_ && stream_->has_buffered()) longest = milliseconds(0);
    const auto wanted = static_cast<short>(listens_ ? stream_->wanted() : stream_->wanted() & ~POLLIN);
    std::array<pollfd, 2> waiting{{{stream_->fd(), wanted, 0}, {worker.wake_fd(), POLLIN, 0}}};
    ::poll(waiting.data(), waiting.size(), static_cast<int>(longest.count()));
    ended_ = ended_ || (waiting[0].revents & (POLLHUP | POLLERR)) != 0;
    worker.clear_wake();
}

void Connection::close() {
    ByteBuffer goodbye;
    wire::encode_disconnect(goodbye, version_, {});
    send(goodbye);
    flush();
}

}  // namespace sluice::bridge::mqtt
