#include "wire/encode.hpp"
#include "wire/writer.hpp"

namespace sluice::wire {
namespace {

/// Before version 5 a password needs a user name [MQTT-3.1.2-22 of MQTT 3.1.1].
bool has_password(const Connect& packet) {
    return packet.password && (packet.user_name || packet.version == Version::v5);
}

std::uint8_t connect_flags(const Connect& packet) {
    unsigned flags = packet.clean_start ? 0x02 : 0;  // bit 0 is reserved [MQTT-3.1.2-3]
    if (packet.will) {
        flags |= 0x04 | static_cast<unsigned>(packet.will->qos) << 3 | (packet.will->retain ? 0x20 : 0);
    }
    if (has_password(packet)) flags |= 0x40;
    if (packet.user_name) flags |= 0x80;
    return static_cast<std::uint8_t>(flags);
}

}  // namespace

void encode_connect(ByteBuffer& out, const Connect& packet) {
    append_packet(out, PacketType::connect, [&] {
        append_text(out, packet.version == Version::v3_1 ? "MQIsdp" : "MQTT");
        out.push_back(static_cast<std::uint8_t>(packet.version));
        out.push_back(connect_flags(packet));
        append_u16(out, packet.keep_alive_s);
        append_properties(out, packet.version, packet.properties);
        append_text(out, packet.client_id);  // the order of the payload [MQTT-3.1.3-1]
        if (packet.will) {
            append_properties(out, packet.version, packet.will->properties);
            append_text(out, packet.will->topic);
            append_binary(out, packet.will->payload);
        }
        if (packet.user_name) append_text(out, *packet.user_name);
        if (has_password(packet)) append_binary(out, *packet.password);
    });
}

}  // namespace sluice::wire
