#pragma once
/// MqttClient: a client whose every packet the test decides about: which ids, what is sent again and when.
/// Blocking, one thread, no hidden retries.
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "wire/frame_reader.hpp"
#include "wire/packets.hpp"

namespace sluice::test {

/// A packet from the broker, with what the tests look at.
struct Incoming {
    wire::PacketType type{};
    wire::PacketId packet_id = 0;
    wire::ReasonCode code = wire::ReasonCode::success;
    bool session_present = false;
    std::string topic;
    std::string payload;
    wire::QoS qos = wire::QoS::at_most_once;
    bool retain = false;
    bool dup = false;
};

class MqttClient {
  public:
    using Milliseconds = std::chrono::milliseconds;
    static constexpr Milliseconds patience{20'000};

    MqttClient() = default;
    ~MqttClient() { close(); }
    MqttClient(const MqttClient&) = delete;
    MqttClient& operator=(const MqttClient&) = delete;

    struct Session {
        std::string client_id;
        bool clean_start = true;
        std::uint32_t expiry_s = 0;
        std::uint16_t receive_maximum = 65535;
        wire::Version version = wire::Version::v5;
    };
    /// TCP to loopback, CONNECT, CONNACK: the CONNACK, or nothing when there was none.
    std::optional<Incoming> connect(std::uint16_t port, const Session& session);
    bool connected() const { return socket_ >= 0; }
    /// Without DISCONNECT.
    void close();
    void disconnect();

    void publish(const std::string& topic, const std::string& payload, wire::QoS qos, wire::PacketId id,
                 bool retain = false, bool dup = false);
    void ack(wire::PacketType type, wire::PacketId id);
    void ping();
    /// SUBSCRIBE and its SUBACK; false when it was refused or lost.
    bool subscribe(const std::string& filter, wire::QoS qos);

    /// The next packet; nothing when time is up or the connection has ended: then connected() is false.
    std::optional<Incoming> receive(Milliseconds longest = patience);
    /// The next PUBLISH, acknowledged by what its QoS asks for, as far as the broker plays along.
    std::optional<Incoming> receive_message(Milliseconds longest = patience);

  private:
    void send(const ByteBuffer& bytes);
    bool read_some(Milliseconds longest);
    bool take(const wire::Frame& frame);

    int socket_ = -1;
    wire::Version version_ = wire::Version::v5;
    wire::FrameReader frames_{1 << 20};
    std::deque<Incoming> arrived_;
};

}  // namespace sluice::test
