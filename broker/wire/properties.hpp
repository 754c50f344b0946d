#pragma once
/// Reading and writing of properties by one table [MQTT5 2.2.2.2]. Inside this room only.
#include <cstdint>

#include "base/bytes.hpp"
#include "wire/packets.hpp"
#include "wire/reader.hpp"

namespace sluice::wire {

/// Where properties stand: the number of a packet type, or the will inside a CONNECT.
enum class PropertyPlace : std::uint8_t { will = 0 };
constexpr PropertyPlace place_of(PacketType type) {
    return static_cast<PropertyPlace>(type);
}

/// Reads the length and the properties behind it; nothing before version 5.
void read_properties(Reader& in, Version version, PropertyPlace place, Properties& properties);

/// The same for a PUBLISH, and finds what is forwarded unaltered (see Publish::forward_properties).
void read_publish_properties(Reader& in, Publish& packet, ByteBuffer& scratch);

/// Reads one property with the identifier in front of it; returns the identifier, 0 when it failed.
std::uint8_t read_property(Reader& in, PropertyPlace place, Properties& properties);

}  // namespace sluice::wire
