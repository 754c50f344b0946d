#pragma once
/// FakeMqttBroker: a server that does what the test says, packet by packet, also what no good server would.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "wire/decode.hpp"
#include "wire/encode.hpp"
#include "wire/frame_reader.hpp"

namespace sluice::test {

/// A PUBLISH with what it says as its own.
struct SeenPublish {
    std::string topic, payload;
    wire::QoS qos = wire::QoS::at_most_once;
    bool retain = false, dup = false;
    wire::PacketId packet_id = 0;
    std::size_t properties = 0;  ///< bytes of them
};

/// The server's end of one connection.
class FakeMqttLink {
  public:
    struct Packet {
        wire::PacketType type{};
        std::uint8_t flags = 0;
        ByteBuffer body;
    };

    explicit FakeMqttLink(int fd) : fd_(fd) {}
    ~FakeMqttLink() { close(); }
    FakeMqttLink(const FakeMqttLink&) = delete;
    FakeMqttLink& operator=(const FakeMqttLink&) = delete;
    void close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }

    void set_version(wire::Version version) { version_ = version; }
    /// So many were answered.
    int pings() const { return pings_; }
    void send(const ByteBuffer& bytes) { ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

    /// The next packet; pings are answered and left out. None when it is over or time is up.
    std::optional<Packet> next(std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
        const auto deadline = std::chrono::steady_clock::now() + timeout;
        for (;;) {
            const auto cut = wire::cut_frame(received_, 1 << 20, version_);
            if (cut.ok() && cut->has_value()) {
                Packet packet{(*cut)->type, (*cut)->flags, {(*cut)->body.begin(), (*cut)->body.end()}};
                const auto bytes = static_cast<std::ptrdiff_t>((*cut)->size_bytes);
                received_.erase(received_.begin(), received_.begin() + bytes);
                if (packet.type != wire::PacketType::pingreq) return packet;
                ++pings_;
                ByteBuffer answer;
                wire::encode_pingresp(answer);
                send(answer);
                continue;
            }
            const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
            pollfd one{fd_, POLLIN, 0};
            if (left.count() <= 0 || ::poll(&one, 1, static_cast<int>(left.count())) != 1)
                return std::nullopt;
            std::uint8_t buffer[4096];
            const ssize_t bytes = ::recv(fd_, buffer, sizeof buffer, 0);
            if (bytes <= 0) return std::nullopt;
            received_.insert(received_.end(), buffer, buffer + bytes);
        }
    }

    /// The body of the CONNECT; what wire::decode_connect gives of it borrows from it.
    ByteBuffer take_connect() {
        auto packet = next();
        if (!packet || packet->type != wire::PacketType::connect) {
            ADD_FAILURE() << "no CONNECT came";
            return {};
        }
        version_ = wire::peek_version(packet->body).value_or(wire::Version::v5);
        return std::move(packet->body);
    }
    void send_connack(const wire::Connack& connack = {}) {
        ByteBuffer out;
        wire::encode_connack(out, version_, connack);
        send(out);
    }
    std::optional<SeenPublish> next_publish(std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
        const auto packet = next(timeout);
        if (!packet || packet->type != wire::PacketType::publish) return std::nullopt;
        ByteBuffer scratch;
        const auto publish = wire::decode_publish(version_, packet->flags, packet->body, scratch);
        if (!publish) {
            ADD_FAILURE() << publish.error().what;
            return std::nullopt;
        }
        return SeenPublish{std::string(publish->topic),
                           std::string(as_text(publish->payload)),
                           publish->qos,
                           publish->retain,
                           publish->dup,
                           publish->packet_id,
                           publish->forward_properties.size()};
    }
    void send_publish(const wire::Publish& publish) {
        ByteBuffer out;
        wire::encode_publish(out, version_, publish);
        send(out);
    }
    /// Written by hand: codes that our own encoder would not send.
    void send_puback(wire::PacketId id, std::uint8_t code = 0) {
        ByteBuffer out{0x40, static_cast<std::uint8_t>(version_ == wire::Version::v5 ? 3 : 2)};
        append_u16(out, id);
        if (version_ == wire::Version::v5) out.push_back(code);
        send(out);
    }
    /// The PUBACK that comes next: id and code.
    std::optional<std::pair<wire::PacketId, std::uint8_t>> next_puback(
        std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
        const auto packet = next(timeout);
        if (!packet || packet->type != wire::PacketType::puback || packet->body.size() < 2)
            return std::nullopt;
        return std::pair(read_u16(packet->body.data()),
                         packet->body.size() > 2 ? packet->body[2] : std::uint8_t{0});
    }
    /// Takes a SUBSCRIBE and answers each filter with the code. The body, as with take_connect().
    ByteBuffer grant(wire::ReasonCode code = wire::ReasonCode::granted_qos_1) {
        auto packet = next();
        const auto subscribe =
            packet ? wire::decode_subscribe(version_, packet->body) : Err{wire::WireError{}};
        if (!packet || packet->type != wire::PacketType::subscribe || !subscribe) {
            ADD_FAILURE() << "no SUBSCRIBE came";
            return {};
        }
        wire::Suback suback{.packet_id = subscribe->packet_id,
                            .codes = std::vector<wire::ReasonCode>(subscribe->entries.size(), code),
                            .properties = {}};
        ByteBuffer out;
        wire::encode_suback(out, version_, suback);
        send(out);
        return std::move(packet->body);
    }

  private:
    int fd_;
    wire::Version version_ = wire::Version::v5;
    ByteBuffer received_;
    int pings_ = 0;
};

class FakeMqttBroker {
  public:
    FakeMqttBroker() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(::listen(fd_, 8), 0);
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
    }
    ~FakeMqttBroker() { ::close(fd_); }
    FakeMqttBroker(const FakeMqttBroker&) = delete;
    FakeMqttBroker& operator=(const FakeMqttBroker&) = delete;

    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    /// Waits for the next connection.
    std::unique_ptr<FakeMqttLink> accept() {
        pollfd one{fd_, POLLIN, 0};
        if (::poll(&one, 1, 20'000) != 1) ADD_FAILURE() << "nobody connects";
        return std::make_unique<FakeMqttLink>(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
    }
    /// And lets it in.
    std::unique_ptr<FakeMqttLink> welcome(const wire::Connack& connack = {}) {
        auto link = accept();
        link->take_connect();
        link->send_connack(connack);
        return link;
    }

  private:
    int fd_;
    int port_ = 0;
};

}  // namespace sluice::test
