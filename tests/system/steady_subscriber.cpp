#include "tests/system/steady_subscriber.hpp"

#include <algorithm>
#include <cstdlib>

namespace sluice::test {

using wire::PacketType;
using wire::QoS;

bool SteadySubscriber::connect(std::uint16_t port) {
    const auto connack =
        client_.connect(port, {.client_id = client_id_, .clean_start = false, .expiry_s = expiry_s_});
    if (!connack || is_error(connack->code)) return false;
    if (subscribed_) return connack->session_present;
    return subscribed_ = client_.subscribe(filter_, qos_);
}

void SteadySubscriber::run(std::chrono::milliseconds quiet) {
    while (const auto packet = client_.receive(quiet)) take(*packet);
}

void SteadySubscriber::take(const Incoming& packet) {
    if (packet.type == PacketType::pubrel) {
        unreleased_.erase(packet.packet_id);
        return client_.ack(PacketType::pubcomp, packet.packet_id);
    }
    if (packet.type != PacketType::publish) return;
    const bool known = packet.qos == QoS::exactly_once && !unreleased_.insert(packet.packet_id).second;
    if (packet.qos == QoS::at_least_once) client_.ack(PacketType::puback, packet.packet_id);
    if (packet.qos == QoS::exactly_once) client_.ack(PacketType::pubrec, packet.packet_id);
    if (known) return;
    Topic& topic = topics_[packet.topic];
    const std::uint64_t number = std::strtoull(packet.payload.c_str(), nullptr, 10);
    if (!topic.numbers.insert(number).second) {
        ++topic.again;
        return;
    }
    topic.out_of_order += number < topic.highest ? 1 : 0;
    topic.highest = std::max(topic.highest, number);
}

}  // namespace sluice::test
