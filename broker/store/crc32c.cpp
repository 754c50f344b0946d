#include "store/crc32c.hpp"

#include <array>

namespace sluice::store {
namespace {

// Slicing by eight: eight tables, eight bytes per step, about 1.5 GB/s without special instructions.
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() {
    Tables t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t c = i;
        for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) ? 0x82f63b78U : 0U);
        t[0][i] = c;
    }
    for (std::size_t k = 1; k < 8; ++k)
        for (std::size_t i = 0; i < 256; ++i) t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 0xff];
    return t;
}

constexpr Tables tables = make_tables();

std::uint32_t read_u32_little(const std::uint8_t* p) {
    return p[0] | std::uint32_t{p[1]} << 8 | std::uint32_t{p[2]} << 16 | std::uint32_t{p[3]} << 24;
}

}  // namespace

std::uint32_t crc32c(Bytes bytes, std::uint32_t seed) {
    const std::uint8_t* p = bytes.data();
    std::size_t left = bytes.size();
    std::uint32_t c = ~seed;
    for (; left >= 8; left -= 8, p += 8) {
        const std::uint32_t a = c ^ read_u32_little(p);
        const std::uint32_t b = read_u32_little(p + 4);
        c = tables[7][a & 0xff] ^ tables[6][(a >> 8) & 0xff] ^ tables[5][(a >> 16) & 0xff] ^
            tables[4][a >> 24] ^ tables[3][b & 0xff] ^ tables[2][(b >> 8) & 0xff] ^
            tables[1][(b >> 16) & 0xff] ^ tables[0][b >> 24];
    }
    for (; left > 0; --left, ++p) c = (c >> 8) ^ tables[0][(c ^ *p) & 0xff];
    return ~c;
}

std::uint32_t crc32c_of(std::uint64_t key, Bytes bytes) {
    std::array<std::uint8_t, 8> head{};
    for (std::size_t i = 0; i < head.size(); ++i) head[i] = static_cast<std::uint8_t>(key >> (56 - 8 * i));
    return crc32c(bytes, crc32c(head));
}

}  // namespace sluice::store
