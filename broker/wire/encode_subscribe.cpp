#include "wire/encode.hpp"
#include "wire/writer.hpp"

namespace sluice::wire {
namespace {

std::uint8_t options_of(const SubscribeEntry& entry, Version version) {
    unsigned options = static_cast<unsigned>(entry.qos);
    if (version == Version::v5) {
        options |= (entry.no_local ? 0x04U : 0U) | (entry.retain_as_published ? 0x08U : 0U) |
                   static_cast<unsigned>(entry.retain_handling) << 4;
    }
    return static_cast<std::uint8_t>(options);
}

}  // namespace

void encode_subscribe(ByteBuffer& out, Version version, const Subscribe& packet) {
    append_packet(out, PacketType::subscribe, [&] {
        append_u16(out, packet.packet_id);
        append_properties(out, version, packet.properties);
        for (const SubscribeEntry& entry : packet.entries) {
            append_text(out, entry.filter);
            out.push_back(options_of(entry, version));
        }
    });
}

void encode_suback(ByteBuffer& out, Version version, const Suback& packet) {
    append_packet(out, PacketType::suback, [&] {
        append_u16(out, packet.packet_id);
        append_properties(out, version, packet.properties);
        for (const ReasonCode code : packet.codes) {  // in the order of the filters [MQTT-3.9.3-1]
            // Before version 5 there is one way to say no [MQTT-3.9.3-2 of MQTT 3.1.1].
            const bool is_plain_no = version < Version::v5 && is_error(code);
            out.push_back(is_plain_no ? std::uint8_t{0x80} : static_cast<std::uint8_t>(code));
        }
    });
}

}  // namespace sluice::wire
