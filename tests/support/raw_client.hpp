#pragma once
/// RawClient: the client's end of a stream socket; sends packets and takes what comes, one by one.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/decode.hpp"
#include "wire/encode.hpp"
#include "wire/frame_reader.hpp"

namespace sluice::test {

/// A packet from the server, or the end of the connection.
struct Received {
    bool closed = false;
    wire::PacketType type{};
    ByteBuffer body;
};

class RawClient {
  public:
    explicit RawClient(int fd) : fd_(fd) {}
    ~RawClient() { close(); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    void close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }
    void send(const ByteBuffer& bytes) {
        EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    }
    void send_auth(wire::ReasonCode code, std::string_view method, std::string_view data) {
        wire::Auth packet{.code = code, .properties = {}};
        packet.properties.authentication_method = method;
        packet.properties.authentication_data = as_bytes(data);
        ByteBuffer out;
        wire::encode_auth(out, packet);
        send(out);
    }
    /// Waits for the next packet, or for the end.
    Received next() {
        for (;;) {
            const auto cut = wire::cut_frame(received_, 1 << 20);
            if (cut.ok() && cut->has_value()) {
                Received packet{.type = (*cut)->type, .body = {(*cut)->body.begin(), (*cut)->body.end()}};
                received_.erase(received_.begin(),
                                received_.begin() + static_cast<std::ptrdiff_t>((*cut)->size_bytes));
                return packet;
            }
            pollfd one{fd_, POLLIN, 0};
            if (::poll(&one, 1, 20'000) != 1) {
                ADD_FAILURE() << "nothing came";
                return {true, {}, {}};
            }
            std::uint8_t buffer[4096];
            const ssize_t bytes = ::recv(fd_, buffer, sizeof buffer, 0);
            if (bytes <= 0) return {true, {}, {}};
            received_.insert(received_.end(), buffer, buffer + bytes);
        }
    }
    /// The next packet is AUTH with that code and data.
    void expect_auth(wire::ReasonCode code, std::string_view data) {
        const Received packet = next();
        ASSERT_EQ(packet.type, wire::PacketType::auth);
        const auto auth = wire::decode_auth(wire::Version::v5, packet.body);
        ASSERT_TRUE(auth.ok());
        EXPECT_EQ(auth->code, code);
        EXPECT_EQ(as_text(auth->properties.authentication_data.value_or(Bytes{})), data);
    }
    /// The next packet is CONNACK with that code.
    void expect_connack(wire::ReasonCode code) {
        const Received packet = next();
        ASSERT_EQ(packet.type, wire::PacketType::connack);
        const auto connack = wire::decode_connack(wire::Version::v5, packet.body);
        ASSERT_TRUE(connack.ok());
        EXPECT_EQ(connack->code, code);
    }
    /// DISCONNECT with that code, then the end.
    void expect_disconnect(wire::ReasonCode code) {
        const Received packet = next();
        ASSERT_EQ(packet.type, wire::PacketType::disconnect);
        const auto disconnect = wire::decode_disconnect(wire::Version::v5, packet.body);
        ASSERT_TRUE(disconnect.ok());
        EXPECT_EQ(disconnect->code, code);
        EXPECT_TRUE(next().closed);
    }
    /// Everything that was sent before has been handled, and nothing but this PINGRESP came of it.
    void expect_silence() {
        ByteBuffer ping;
        wire::encode_pingreq(ping);
        send(ping);
        EXPECT_EQ(next().type, wire::PacketType::pingresp);
    }

  private:
    int fd_;
    ByteBuffer received_;
};

}  // namespace sluice::test
