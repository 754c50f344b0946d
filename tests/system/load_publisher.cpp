#include "tests/system/load_publisher.hpp"

#include <algorithm>

namespace sluice::test {

using wire::PacketType;
using wire::QoS;
using Milliseconds = std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

bool LoadPublisher::connect(std::uint16_t port) {
    const auto connack = client_.connect(
        port, {.client_id = client_id_, .clean_start = false, .expiry_s = 3600, .receive_maximum = 100});
    if (!connack || connack->code != wire::ReasonCode::success) return false;
    for (const Flight& flight : inflight_) send(flight, true);
    return true;
}

void LoadPublisher::send(const Flight& flight, bool again) {
    if (flight.released) return client_.ack(PacketType::pubrel, flight.id);
    client_.publish(topic_, payload_of(flight.number), qos_, flight.id, retain_, again);
}

/// Of a typical size.
std::string LoadPublisher::payload_of(std::uint64_t number) const {
    std::string text = std::to_string(number) + " ";
    return text + std::string(200 - text.size(), 'x');
}

void LoadPublisher::run(Milliseconds span, double messages_per_s) {
    const auto begin = Steady::now();
    const std::uint64_t first = next_number_;
    while (client_.connected() && Steady::now() < begin + span) {
        const double elapsed_s = std::chrono::duration<double>(Steady::now() - begin).count();
        const auto due = first + static_cast<std::uint64_t>(elapsed_s * messages_per_s);
        while (next_number_ < due && inflight_.size() < inflight_max) {
            inflight_.push_back({next_number_++, next_id_});
            next_id_ = next_id_ == 65535 ? wire::PacketId{1} : static_cast<wire::PacketId>(next_id_ + 1);
            send(inflight_.back(), false);
        }
        if (const auto packet = client_.receive(Milliseconds(1))) take(*packet);
    }
}

void LoadPublisher::take_last_words() {
    while (client_.connected()) {
        if (const auto packet = client_.receive(Milliseconds(1000))) take(*packet);
    }
    while (const auto packet = client_.receive(Milliseconds(0))) take(*packet);
}

bool LoadPublisher::finish(Milliseconds longest) {
    const auto deadline = Steady::now() + longest;
    while (!inflight_.empty() && client_.connected() && Steady::now() < deadline) {
        if (const auto packet = client_.receive(Milliseconds(100))) take(*packet);
    }
    return inflight_.empty();
}

void LoadPublisher::take(const Incoming& packet) {
    const auto flight = std::find_if(inflight_.begin(), inflight_.end(),
                                     [&](const Flight& f) { return !f.done && f.id == packet.packet_id; });
    // To a repeated PUBREL the answer may be that the id is not known any more: also an end.
    const bool refused = static_cast<int>(packet.code) >= 0x80 && packet.type != PacketType::pubcomp;
    if (flight == inflight_.end() || refused) return;
    if (packet.type == PacketType::puback || packet.type == PacketType::pubrec)
        acknowledged_.insert(flight->number);
    if (packet.type == PacketType::pubrec) {
        flight->released = true;
        client_.ack(PacketType::pubrel, flight->id);
    }
    flight->done = packet.type == PacketType::puback || packet.type == PacketType::pubcomp;
    while (!inflight_.empty() && inflight_.front().done) inflight_.pop_front();
}

}  // namespace sluice::test
