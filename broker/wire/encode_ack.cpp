#include "wire/encode.hpp"
#include "wire/writer.hpp"

namespace sluice::wire {

namespace {

/// Only these two properties are legal here. An acknowledgement without them is what every PUBLISH costs, so
/// it does not go through the table.
bool has_properties(const Ack& packet) {
    return packet.properties.reason_string || !packet.properties.user_properties.empty();
}

}  // namespace

void encode_ack(ByteBuffer& out, Version version, PacketType type, const Ack& packet) {
    append_packet(out, type, [&] {
        append_u16(out, packet.packet_id);
        if (version < Version::v5) return;
        if (has_properties(packet)) return append_outcome(out, packet.code, packet.properties);
        if (packet.code != ReasonCode::success) out.push_back(static_cast<std::uint8_t>(packet.code));
    });
}

}  // namespace sluice::wire
