#include "wire/decode.hpp"
#include "wire/legal_codes.hpp"
#include "wire/properties.hpp"
#include "wire/reader.hpp"

namespace sluice::wire {

Result<Auth, WireError> decode_auth(Version version, Bytes body) {
    return decode_with<Auth>(body, "AUTH: bytes behind its end", [&](Reader& in, Auth& packet) {
        if (version < Version::v5) return in.malformed("AUTH: no such packet before version 5");
        if (in.at_end()) return;  // success without properties
        const std::uint8_t code = in.u8("AUTH: reason code");
        // [MQTT-3.15.2-1]
        if (!is_legal_code(PacketType::auth, code)) in.protocol_error("AUTH: reason code is not legal here");
        packet.code = static_cast<ReasonCode>(code);
        read_properties(in, version, place_of(PacketType::auth), packet.properties);
        if (in.ok() && !packet.properties.authentication_method) {
            in.protocol_error("AUTH: authentication method is missing");
        }
    });
}

}  // namespace sluice::wire
