#pragma once
/// One door to all decoders and encoders, for tests and fuzzers that do not care which packet it is.
#include <variant>

#include "wire/decode.hpp"
#include "wire/encode.hpp"
#include "wire/frame_reader.hpp"

namespace sluice::test {

/// What PINGREQ and PINGRESP carry.
struct Ping {};

using AnyPacket = std::variant<Ping, wire::Connect, wire::Connack, wire::Publish, wire::Ack, wire::Subscribe,
                               wire::Suback, wire::Unsubscribe, wire::Unsuback, wire::Disconnect, wire::Auth>;
using AnyResult = Result<AnyPacket, wire::WireError>;

template <class Packet>
AnyResult any(Result<Packet, wire::WireError> result) {
    if (!result) return Err{result.error()};
    return AnyPacket(std::move(result).value());
}

inline AnyResult decode_any(wire::Version version, const wire::Frame& frame, ByteBuffer& scratch) {
    using enum wire::PacketType;
    switch (frame.type) {
        case connect:
            return any(wire::decode_connect(frame.body));
        case connack:
            return any(wire::decode_connack(version, frame.body));
        case publish:
            return any(wire::decode_publish(version, frame.flags, frame.body, scratch));
        case puback:
        case pubrec:
        case pubrel:
        case pubcomp:
            return any(wire::decode_ack(version, frame.type, frame.body));
        case subscribe:
            return any(wire::decode_subscribe(version, frame.body));
        case suback:
            return any(wire::decode_suback(version, frame.body));
        case unsubscribe:
            return any(wire::decode_unsubscribe(version, frame.body));
        case unsuback:
            return any(wire::decode_unsuback(version, frame.body));
        case pingreq:
        case pingresp:
            return AnyPacket(Ping{});
        case disconnect:
            return any(wire::decode_disconnect(version, frame.body));
        case auth:
            return any(wire::decode_auth(version, frame.body));
    }
    return Err{wire::WireError{}};
}

/// Appends `packet` as the `type` that it was decoded from.
struct AnyEncoder {
    ByteBuffer& out;
    wire::Version version;
    wire::PacketType type;

    void operator()(const Ping&) const {
        type == wire::PacketType::pingreq ? wire::encode_pingreq(out) : wire::encode_pingresp(out);
    }
    void operator()(const wire::Connect& p) const { wire::encode_connect(out, p); }
    void operator()(const wire::Connack& p) const { wire::encode_connack(out, version, p); }
    void operator()(const wire::Publish& p) const { wire::encode_publish(out, version, p); }
    void operator()(const wire::Ack& p) const { wire::encode_ack(out, version, type, p); }
    void operator()(const wire::Subscribe& p) const { wire::encode_subscribe(out, version, p); }
    void operator()(const wire::Suback& p) const { wire::encode_suback(out, version, p); }
    void operator()(const wire::Unsubscribe& p) const { wire::encode_unsubscribe(out, version, p); }
    void operator()(const wire::Unsuback& p) const { wire::encode_unsuback(out, version, p); }
    void operator()(const wire::Disconnect& p) const { wire::encode_disconnect(out, version, p); }
    void operator()(const wire::Auth& p) const { wire::encode_auth(out, p); }
};

inline ByteBuffer encode_any(wire::Version version, wire::PacketType type, const AnyPacket& packet) {
    ByteBuffer out;
    std::visit(AnyEncoder{out, version, type}, packet);
    return out;
}

/// Decodes, encodes, decodes and encodes again: both encodings must be the same bytes. True when `frame` was
/// refused, or when that held.
inline bool survives_round_trip(wire::Version version, const wire::Frame& frame) {
    ByteBuffer scratch, second_scratch;
    const AnyResult first = decode_any(version, frame, scratch);
    if (!first) return true;
    const ByteBuffer bytes = encode_any(version, frame.type, *first);
    const auto again = wire::cut_frame(bytes, SIZE_MAX, version);
    if (!again || !*again || (*again)->size_bytes != bytes.size()) return false;
    const AnyResult second = decode_any(version, **again, second_scratch);
    return second && encode_any(version, frame.type, *second) == bytes;
}

}  // namespace sluice::test
