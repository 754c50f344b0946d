#include "tests/system/mqtt_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "wire/decode.hpp"
#include "wire/encode.hpp"

namespace sluice::test {

using wire::PacketType;
using wire::QoS;
using Steady = std::chrono::steady_clock;

std::optional<Incoming> MqttClient::connect(std::uint16_t port, const Session& session) {
    close();
    arrived_.clear();
    frames_ = wire::FrameReader(1 << 20);
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        close();
        return std::nullopt;
    }
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    version_ = session.version;
    wire::Connect connect;
    connect.version = version_;
    connect.client_id = session.client_id;
    connect.clean_start = session.clean_start;
    connect.properties.session_expiry_interval_s = session.expiry_s;
    connect.properties.receive_maximum = session.receive_maximum;
    ByteBuffer out;
    wire::encode_connect(out, connect);
    send(out);
    auto answer = receive();
    if (answer && answer->type != PacketType::connack) answer.reset();
    return answer;
}

void MqttClient::close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
}

void MqttClient::disconnect() {
    ByteBuffer out;
    wire::encode_disconnect(out, version_, {});
    send(out);
    close();
}

void MqttClient::publish(const std::string& topic, const std::string& payload, QoS qos, wire::PacketId id,
                         bool retain, bool dup) {
    ByteBuffer out;
    wire::Publish packet;
    packet.topic = topic;
    packet.payload = as_bytes(payload);
    packet.qos = qos;
    packet.retain = retain;
    packet.dup = dup;
    packet.packet_id = id;
    wire::encode_publish(out, version_, packet);
    send(out);
}

void MqttClient::ack(PacketType type, wire::PacketId id) {
    ByteBuffer out;
    wire::encode_ack(out, version_, type, {.packet_id = id, .properties = {}});
    send(out);
}

void MqttClient::ping() {
    ByteBuffer out;
    wire::encode_pingreq(out);
    send(out);
}

bool MqttClient::subscribe(const std::string& filter, QoS qos) {
    wire::Subscribe packet;
    packet.packet_id = 1;
    packet.entries.push_back({.filter = filter, .qos = qos});
    ByteBuffer out;
    wire::encode_subscribe(out, version_, packet);
    send(out);
    const auto deadline = Steady::now() + patience;
    std::deque<Incoming> others;
    bool granted = false;
    while (connected() && Steady::now() < deadline) {
        auto answer = receive();
        if (!answer) break;
        if (answer->type == PacketType::suback) {
            granted = static_cast<int>(answer->code) < 0x80;
            break;
        }
        others.push_back(std::move(*answer));  // a retained message may come first
    }
    arrived_.insert(arrived_.begin(), others.begin(), others.end());
    return granted;
}

std::optional<Incoming> MqttClient::receive(Milliseconds longest) {
    const auto deadline = Steady::now() + longest;
    while (arrived_.empty()) {
        const auto left = std::chrono::ceil<Milliseconds>(deadline - Steady::now());
        if (!read_some(std::max(left, Milliseconds(0)))) return std::nullopt;
    }
    Incoming first = std::move(arrived_.front());
    arrived_.pop_front();
    return first;
}

std::optional<Incoming> MqttClient::receive_message(Milliseconds longest) {
    const auto deadline = Steady::now() + longest;
    while (Steady::now() < deadline) {
        auto packet = receive(std::chrono::ceil<Milliseconds>(deadline - Steady::now()));
        if (!packet) return std::nullopt;
        if (packet->type == PacketType::pubrel) ack(PacketType::pubcomp, packet->packet_id);
        if (packet->type != PacketType::publish) continue;
        if (packet->qos == QoS::at_least_once) ack(PacketType::puback, packet->packet_id);
        if (packet->qos == QoS::exactly_once) ack(PacketType::pubrec, packet->packet_id);
        return packet;
    }
    return std::nullopt;
}

void MqttClient::send(const ByteBuffer& bytes) {
    std::size_t done = 0;
    while (socket_ >= 0 && done < bytes.size()) {
        const auto put = ::send(socket_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
        // What has arrived before the break can still be read: receive() notices the end.
        if (put <= 0) return;
        done += static_cast<std::size_t>(put);
    }
}

bool MqttClient::read_some(Milliseconds longest) {
    if (socket_ < 0) return false;
    pollfd waiting{socket_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(longest.count())) <= 0) return false;
    std::array<std::uint8_t, 65536> block;
    const auto got = ::recv(socket_, block.data(), block.size(), 0);
    if (got <= 0) {
        close();
        return false;
    }
    const auto cut = frames_.feed(Bytes(block.data(), static_cast<std::size_t>(got)),
                                  [this](const wire::Frame& frame) { return take(frame); });
    if (!cut) close();
    return cut.ok();
}

bool MqttClient::take(const wire::Frame& frame) {
    Incoming packet{.type = frame.type, .topic = {}, .payload = {}};
    if (frame.type == PacketType::publish) {
        ByteBuffer scratch;
        const auto publish = wire::decode_publish(version_, frame.flags, frame.body, scratch);
        if (!publish) return false;
        packet.packet_id = publish->packet_id;
        packet.topic = publish->topic;
        packet.payload = as_text(publish->payload);
        packet.qos = publish->qos;
        packet.retain = publish->retain;
        packet.dup = publish->dup;
    } else if (frame.type == PacketType::connack) {
        const auto connack = wire::decode_connack(version_, frame.body);
        if (!connack) return false;
        packet.code = connack->code;
        packet.session_present = connack->session_present;
    } else if (frame.type == PacketType::suback) {
        const auto suback = wire::decode_suback(version_, frame.body);
        if (!suback) return false;
        packet.packet_id = suback->packet_id;
        packet.code = suback->codes.front();
    } else if (frame.type >= PacketType::puback && frame.type <= PacketType::pubcomp) {
        const auto ack = wire::decode_ack(version_, frame.type, frame.body);
        if (!ack) return false;
        packet.packet_id = ack->packet_id;
        packet.code = ack->code;
    }
    arrived_.push_back(std::move(packet));
    return true;
}

}  // namespace sluice::test
