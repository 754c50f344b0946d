#pragma once
/// LoadPublisher: publishes numbered messages at a given rate through crashes of the broker, and remembers
/// which of them were acknowledged: those are the ones that must not be missing.
#include <chrono>
#include <cstdint>
#include <deque>
#include <set>
#include <string>

#include "tests/system/mqtt_client.hpp"

namespace sluice::test {

class LoadPublisher {
  public:
    LoadPublisher(std::string client_id, std::string topic, wire::QoS qos, bool retain = false)
        : client_id_(std::move(client_id)), topic_(std::move(topic)), qos_(qos), retain_(retain) {}

    /// Connects to its session; what was not acknowledged is sent again first, in its old order
    /// [MQTT-4.4.0-1], [MQTT-4.6.0-1].
    bool connect(std::uint16_t port);
    /// Publishes at the rate for this time; ends early when the connection breaks.
    void run(std::chrono::milliseconds span, double messages_per_s);
    /// After the broker has been killed: acknowledgements that were on their way still count.
    void take_last_words();
    /// Until all is acknowledged.
    bool finish(std::chrono::milliseconds longest);
    void disconnect() { client_.disconnect(); }

    const std::string& client_id() const { return client_id_; }
    /// Acknowledged: PUBACK, or PUBREC at QoS 2.
    const std::set<std::uint64_t>& acknowledged() const { return acknowledged_; }
    std::uint64_t sent() const { return next_number_ - 1; }

  private:
    struct Flight {
        std::uint64_t number;
        wire::PacketId id;
        bool released = false;  ///< QoS 2: PUBREC has come
        bool done = false;
    };
    static constexpr std::size_t inflight_max = 90;  // the broker's Receive Maximum is 100

    void send(const Flight& flight, bool again);
    void take(const Incoming& packet);
    std::string payload_of(std::uint64_t number) const;

    MqttClient client_;
    std::string client_id_;
    std::string topic_;
    wire::QoS qos_;
    bool retain_;
    std::deque<Flight> inflight_;
    std::set<std::uint64_t> acknowledged_;
    std::uint64_t next_number_ = 1;
    wire::PacketId next_id_ = 1;
};

}  // namespace sluice::test
