#pragma once
/// Small helpers of the encoders. Inside this room only.
#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "wire/encode.hpp"
#include "wire/packets.hpp"
#include "wire/varint.hpp"

namespace sluice::wire {

inline void append_binary(ByteBuffer& out, Bytes bytes) {
    CHECK(bytes.size() <= 65535);
    append_u16(out, static_cast<std::uint16_t>(bytes.size()));
    append(out, bytes);
}
inline void append_text(ByteBuffer& out, std::string_view text) {
    append_binary(out, as_bytes(text));
}

/// Leaves room for a length of one byte, which is nearly always enough; returns what close_length needs.
inline std::size_t open_length(ByteBuffer& out) {
    out.push_back(0);
    return out.size();
}
/// Writes the length of all that was appended since; moves it when the length needs more than one byte.
inline void close_length(ByteBuffer& out, std::size_t at) {
    std::uint8_t bytes[4];
    const std::size_t used = write_varint(bytes, out.size() - at);
    out[at - 1] = bytes[0];
    if (used > 1) out.insert(out.begin() + static_cast<std::ptrdiff_t>(at), bytes + 1, bytes + used);
}

/// Property length and properties; nothing before version 5.
inline void append_properties(ByteBuffer& out, Version version, const Properties& properties) {
    if (version < Version::v5) return;
    const std::size_t at = open_length(out);
    encode_property_run(out, properties);
    close_length(out, at);
}

/// Reason code and properties of the acknowledgements, DISCONNECT and AUTH; without what may be
/// left off: empty properties, and then success [MQTT5 3.4.2.1, 3.14.2.1].
inline void append_outcome(ByteBuffer& out, ReasonCode code, const Properties& properties) {
    const std::size_t start = out.size();
    out.push_back(static_cast<std::uint8_t>(code));
    const std::size_t at = open_length(out);
    encode_property_run(out, properties);
    if (out.size() > at) return close_length(out, at);
    out.resize(code == ReasonCode::success ? start : start + 1);
}

/// Appends the first byte, calls `body()`, and puts the remaining length in its place.
template <class Body>
void append_packet(ByteBuffer& out, PacketType type, Body&& body) {
    constexpr unsigned needs_flags_2 = 1U << 6 | 1U << 8 | 1U << 10;  // PUBREL, SUBSCRIBE, UNSUBSCRIBE
    const unsigned flags = (needs_flags_2 >> static_cast<unsigned>(type) & 1U) * 2;
    out.push_back(static_cast<std::uint8_t>(static_cast<unsigned>(type) << 4 | flags));
    const std::size_t at = open_length(out);
    body();
    close_length(out, at);
}

}  // namespace sluice::wire
