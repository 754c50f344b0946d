#include "wire/decode.hpp"
#include "wire/legal_codes.hpp"
#include "wire/properties.hpp"
#include "wire/reader.hpp"

namespace sluice::wire {

Result<Ack, WireError> decode_ack(Version version, PacketType type, Bytes body) {
    return decode_with<Ack>(body, "acknowledgement: bytes behind its end", [&](Reader& in, Ack& packet) {
        packet.packet_id = in.packet_id("acknowledgement: packet identifier");
        if (version < Version::v5 || in.at_end()) return;  // no reason code means success
        const std::uint8_t code = in.u8("acknowledgement: reason code");
        // [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1]
        if (!is_legal_code(type, code)) in.protocol_error("acknowledgement: reason code is not legal here");
        packet.code = static_cast<ReasonCode>(code);
        if (!in.at_end()) read_properties(in, version, place_of(type), packet.properties);
    });
}

}  // namespace sluice::wire
