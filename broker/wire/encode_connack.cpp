#include "wire/encode.hpp"
#include "wire/writer.hpp"

namespace sluice::wire {
namespace {

/// The nearest row of MQTT 3.1.1 table 3.1. What has none is told "server unavailable", so that the client
/// tries again later.
std::uint8_t return_code(ReasonCode code) {
    switch (code) {
        case ReasonCode::success:
            return 0;
        case ReasonCode::unsupported_protocol_version:
            return 1;
        case ReasonCode::client_identifier_not_valid:
            return 2;
        case ReasonCode::bad_user_name_or_password:
            return 4;
        case ReasonCode::not_authorized:
        case ReasonCode::banned:
        case ReasonCode::bad_authentication_method:
        case ReasonCode::topic_name_invalid:
        case ReasonCode::retain_not_supported:
        case ReasonCode::qos_not_supported:
            return 5;
        default:
            return 3;
    }
}

}  // namespace

void encode_connack(ByteBuffer& out, Version version, const Connack& packet) {
    append_packet(out, PacketType::connack, [&] {
        // No session is present in a refusal [MQTT-3.2.2-6]; MQTT 3.1 has no such flag.
        const bool session_present =
            packet.session_present && packet.code == ReasonCode::success && version > Version::v3_1;
        out.push_back(session_present ? 1 : 0);
        out.push_back(version == Version::v5 ? static_cast<std::uint8_t>(packet.code)
                                             : return_code(packet.code));
        append_properties(out, version, packet.properties);
    });
}

}  // namespace sluice::wire
