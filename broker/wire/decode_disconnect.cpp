#include "wire/decode.hpp"
#include "wire/legal_codes.hpp"
#include "wire/properties.hpp"
#include "wire/reader.hpp"

namespace sluice::wire {

Result<Disconnect, WireError> decode_disconnect(Version version, Bytes body) {
    return decode_with<Disconnect>(
        body, "DISCONNECT: bytes behind its end", [&](Reader& in, Disconnect& packet) {
            if (version < Version::v5 || in.at_end()) return;  // no reason code means normal disconnection
            const std::uint8_t code = in.u8("DISCONNECT: reason code");
            // [MQTT-3.14.2-1]
            if (!is_legal_code(PacketType::disconnect, code)) {
                in.protocol_error("DISCONNECT: reason code is not legal here");
            }
            packet.code = static_cast<ReasonCode>(code);
            if (!in.at_end())
                read_properties(in, version, place_of(PacketType::disconnect), packet.properties);
        });
}

}  // namespace sluice::wire
