#include "wire/encode.hpp"
#include "wire/writer.hpp"

namespace sluice::wire {

void encode_unsubscribe(ByteBuffer& out, Version version, const Unsubscribe& packet) {
    append_packet(out, PacketType::unsubscribe, [&] {
        append_u16(out, packet.packet_id);
        append_properties(out, version, packet.properties);
        for (const std::string_view filter : packet.filters) append_text(out, filter);
    });
}

void encode_unsuback(ByteBuffer& out, Version version, const Unsuback& packet) {
    append_packet(out, PacketType::unsuback, [&] {
        append_u16(out, packet.packet_id);
        append_properties(out, version, packet.properties);
        if (version < Version::v5) return;
        // In the order of the filters [MQTT-3.11.3-1].
        for (const ReasonCode code : packet.codes) out.push_back(static_cast<std::uint8_t>(code));
    });
}

}  // namespace sluice::wire
