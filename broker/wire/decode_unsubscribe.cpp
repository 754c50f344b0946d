#include "wire/decode.hpp"
#include "wire/legal_codes.hpp"
#include "wire/properties.hpp"
#include "wire/reader.hpp"

namespace sluice::wire {

Result<Unsubscribe, WireError> decode_unsubscribe(Version version, Bytes body) {
    return decode_with<Unsubscribe>(body, "", [&](Reader& in, Unsubscribe& packet) {
        packet.packet_id = in.packet_id("UNSUBSCRIBE: packet identifier");
        read_properties(in, version, place_of(PacketType::unsubscribe), packet.properties);
        if (in.at_end()) return in.protocol_error("UNSUBSCRIBE: no topic filter");  // [MQTT-3.10.3-2]
        while (!in.at_end()) {
            // [MQTT-3.10.3-1]
            packet.filters.push_back(in.topic_filter(version, "UNSUBSCRIBE: topic filter"));
        }
    });
}

Result<Unsuback, WireError> decode_unsuback(Version version, Bytes body) {
    return decode_with<Unsuback>(body, "UNSUBACK: bytes behind its end", [&](Reader& in, Unsuback& packet) {
        packet.packet_id = in.packet_id("UNSUBACK: packet identifier");
        if (version < Version::v5) return;
        read_properties(in, version, place_of(PacketType::unsuback), packet.properties);
        if (in.at_end()) return in.protocol_error("UNSUBACK: no reason code");
        while (!in.at_end()) {
            const std::uint8_t code = in.u8("UNSUBACK: reason code");
            // [MQTT-3.11.3-2]
            if (!is_legal_code(PacketType::unsuback, code)) {
                in.protocol_error("UNSUBACK: reason code is not legal here");
            }
            packet.codes.push_back(static_cast<ReasonCode>(code));
        }
    });
}

}  // namespace sluice::wire
