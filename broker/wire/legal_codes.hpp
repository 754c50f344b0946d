#pragma once
/// Which reason codes a packet may carry [MQTT5 2.4]. Inside this room only.
#include "wire/packets.hpp"

namespace sluice::wire {

/// For the packets of version 5 that have reason codes: CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK,
/// UNSUBACK, DISCONNECT, AUTH. False for every other packet.
bool is_legal_code(PacketType type, std::uint8_t code);

}  // namespace sluice::wire
