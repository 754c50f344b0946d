#pragma once
/// The variable byte integer: seven bits a byte, low group first, at most four bytes [MQTT5 1.5.5].
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/check.hpp"

namespace sluice::wire {

constexpr std::uint32_t varint_max = 268'435'455;

constexpr std::size_t varint_bytes(std::size_t value) {
    return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20'0000 ? 3 : 4;
}

/// Writes `value` at `to`, which has room for four bytes; returns how many were used.
inline std::size_t write_varint(std::uint8_t* to, std::size_t value) {
    CHECK(value <= varint_max);
    std::size_t used = 0;
    for (; value >= 0x80; value >>= 7) to[used++] = static_cast<std::uint8_t>(value | 0x80);
    to[used++] = static_cast<std::uint8_t>(value);
    return used;
}

inline void append_varint(ByteBuffer& out, std::size_t value) {
    std::uint8_t bytes[4];
    append(out, {bytes, write_varint(bytes, value)});
}

enum class VarintState : std::uint8_t { complete, incomplete, malformed };

struct Varint {
    VarintState state = VarintState::incomplete;
    std::uint32_t value = 0;
    std::size_t size_bytes = 0;
};

/// Looks at the front of `input`; four bytes that all continue, or a needless last zero, are malformed.
inline Varint read_varint(Bytes input) {
    Varint v;
    for (const std::uint8_t byte : input.first(input.size() < 4 ? input.size() : 4)) {
        v.value |= std::uint32_t{byte & 0x7FU} << (7 * v.size_bytes++);
        if (byte & 0x80) continue;
        const bool minimal = byte != 0 || v.size_bytes == 1;  // [MQTT-1.5.5-1]
        v.state = minimal ? VarintState::complete : VarintState::malformed;
        return v;
    }
    if (v.size_bytes == 4) v.state = VarintState::malformed;
    return v;
}

}  // namespace sluice::wire
