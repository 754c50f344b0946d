#include <array>

#include "wire/decode.hpp"
#include "wire/legal_codes.hpp"
#include "wire/properties.hpp"
#include "wire/reader.hpp"

namespace sluice::wire {
namespace {

/// MQTT 3.1.1 table 3.1, by the reason codes that mean the same.
constexpr std::array return_codes = {
    ReasonCode::success,
    ReasonCode::unsupported_protocol_version,
    ReasonCode::client_identifier_not_valid,
    ReasonCode::server_unavailable,
    ReasonCode::bad_user_name_or_password,
    ReasonCode::not_authorized,
};

ReasonCode read_code(Reader& in, Version version) {
    const std::uint8_t code = in.u8("CONNACK: reason code");
    if (version < Version::v5) {
        if (code < return_codes.size()) return return_codes[code];
    } else if (is_legal_code(PacketType::connack, code)) {  // [MQTT-3.2.2-8]
        return static_cast<ReasonCode>(code);
    }
    in.protocol_error("CONNACK: reason code is not legal here");
    return {};
}

}  // namespace

Result<Connack, WireError> decode_connack(Version version, Bytes body) {
    return decode_with<Connack>(body, "CONNACK: bytes behind its end", [&](Reader& in, Connack& packet) {
        const std::uint8_t flags = in.u8("CONNACK: flags");
        // In MQTT 3.1 this byte means nothing.
        if (version > Version::v3_1) {
            in.require((flags & 0xFE) == 0, "CONNACK: reserved flags are set");  // [MQTT-3.2.2-1]
            packet.session_present = flags != 0;
        }
        packet.code = read_code(in, version);
        if (packet.session_present && packet.code != ReasonCode::success) {  // [MQTT-3.2.2-6]
            in.protocol_error("CONNACK: session present together with an error");
        }
        read_properties(in, version, place_of(PacketType::connack), packet.properties);
    });
}

}  // namespace sluice::wire
