#include "wire/encode.hpp"
#include "wire/writer.hpp"

namespace sluice::wire {

void encode_disconnect(ByteBuffer& out, Version version, const Disconnect& packet) {
    // Before version 5 only a client says goodbye, and never with a reason.
    if (version < Version::v5 && packet.code != ReasonCode::success) return;
    append_packet(out, PacketType::disconnect, [&] {
        if (version == Version::v5) append_outcome(out, packet.code, packet.properties);
    });
}

void encode_auth(ByteBuffer& out, const Auth& packet) {
    append_packet(out, PacketType::auth, [&] { append_outcome(out, packet.code, packet.properties); });
}

void encode_pingreq(ByteBuffer& out) {
    append_packet(out, PacketType::pingreq, [] {});
}

void encode_pingresp(ByteBuffer& out) {
    append_packet(out, PacketType::pingresp, [] {});
}

}  // namespace sluice::wire
