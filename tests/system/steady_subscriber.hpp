#pragma once
/// SteadySubscriber: a session, as a rule a persistent one, that receives through crashes of the broker,
/// keeps to the letter of QoS 2, and counts what it got, by topic.
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "tests/system/mqtt_client.hpp"

namespace sluice::test {

class SteadySubscriber {
  public:
    struct Topic {
        std::set<std::uint64_t> numbers;
        std::uint64_t highest = 0;
        std::size_t again = 0;         ///< a number that was there already
        std::size_t out_of_order = 0;  ///< first occurrences behind a higher number
    };

    SteadySubscriber(std::string client_id, std::string filter, wire::QoS qos, std::uint32_t expiry_s = 36000)
        : client_id_(std::move(client_id)), filter_(std::move(filter)), qos_(qos), expiry_s_(expiry_s) {}

    /// The first time it subscribes, later it expects its session.
    bool connect(std::uint16_t port);
    /// Takes what comes until nothing has come for `quiet`, or the connection has ended.
    void run(std::chrono::milliseconds quiet);
    void disconnect() { client_.disconnect(); }

    const std::string& client_id() const { return client_id_; }
    wire::QoS qos() const { return qos_; }
    const std::map<std::string, Topic>& topics() const { return topics_; }

  private:
    void take(const Incoming& packet);

    MqttClient client_;
    const std::string client_id_, filter_;
    const wire::QoS qos_;
    const std::uint32_t expiry_s_;
    bool subscribed_ = false;
    std::set<wire::PacketId> unreleased_;  ///< QoS 2, received
    std::map<std::string, Topic> topics_;
};

}  // namespace sluice::test
