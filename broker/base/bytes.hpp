#pragma once
/// Views over bytes, and between bytes and text. Nothing here owns or copies, except `ByteBuffer` (see its
/// own words).
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace sluice {

using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;
/// An owned run of bytes that only grows at its end; the ordinary output of an encoder.
using ByteBuffer = std::vector<std::uint8_t>;

inline Bytes as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline void append(ByteBuffer& out, Bytes bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

/// Big-endian integers, as MQTT and most network formats write them [MQTT 1.5.2, 1.5.3].
inline void append_u16(ByteBuffer& out, std::uint16_t v) {
    out.push_back(static_cast<std::uint8_t>(v >> 8));
    out.push_back(static_cast<std::uint8_t>(v));
}
inline void append_u32(ByteBuffer& out, std::uint32_t v) {
    append_u16(out, static_cast<std::uint16_t>(v >> 16));
    append_u16(out, static_cast<std::uint16_t>(v));
}
inline void append_u64(ByteBuffer& out, std::uint64_t v) {
    append_u32(out, static_cast<std::uint32_t>(v >> 32));
    append_u32(out, static_cast<std::uint32_t>(v));
}
/// The caller has made sure that the bytes are there.
inline std::uint16_t read_u16(const std::uint8_t* p) {
    return static_cast<std::uint16_t>(p[0] << 8 | p[1]);
}
inline std::uint32_t read_u32(const std::uint8_t* p) {
    return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
}
inline std::uint64_t read_u64(const std::uint8_t* p) {
    return std::uint64_t{read_u32(p)} << 32 | read_u32(p + 4);
}

}  // namespace sluice
