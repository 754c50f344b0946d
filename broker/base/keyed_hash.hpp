#pragma once
/// keyed_hash: for hash tables whose keys a peer chooses. With a secret key nobody can prepare names that
/// fall into one bucket. The values differ from run to run: never stored, never seen from outside.
#include <cstdint>
#include <random>
#include <string_view>

namespace sluice {

struct HashKey {
    std::uint64_t k0 = 0;
    std::uint64_t k1 = 0;

    static HashKey random() {
        std::random_device device;
        const auto word = [&device] { return std::uint64_t{device()} << 32 | device(); };
        return {word(), word()};
    }
};

namespace detail {

/// The state of SipHash-1-3: one round per word, three at the end; the variant that hash tables use.
struct SipState {
    std::uint64_t v0, v1, v2, v3;

    static constexpr std::uint64_t rotate(std::uint64_t x, int bits) { return x << bits | x >> (64 - bits); }
    constexpr void round() {
        v0 += v1, v1 = rotate(v1, 13) ^ v0, v0 = rotate(v0, 32);
        v2 += v3, v3 = rotate(v3, 16) ^ v2;
        v0 += v3, v3 = rotate(v3, 21) ^ v0;
        v2 += v1, v1 = rotate(v1, 17) ^ v2, v2 = rotate(v2, 32);
    }
    constexpr void absorb(std::uint64_t word) {
        v3 ^= word;
        round();
        v0 ^= word;
    }
};

/// Up to eight bytes, little-endian.
constexpr std::uint64_t sip_word(const char* at, std::size_t bytes) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < bytes; ++i)
        word |= std::uint64_t{static_cast<std::uint8_t>(at[i])} << (8 * i);
    return word;
}

}  // namespace detail

constexpr std::uint64_t keyed_hash(const HashKey& key, std::string_view text) {
    detail::SipState s{key.k0 ^ 0x736f6d6570736575ULL, key.k1 ^ 0x646f72616e646f6dULL,
                       key.k0 ^ 0x6c7967656e657261ULL, key.k1 ^ 0x7465646279746573ULL};
    std::size_t at = 0;
    for (; text.size() - at >= 8; at += 8) s.absorb(detail::sip_word(text.data() + at, 8));
    s.absorb(detail::sip_word(text.data() + at, text.size() - at) | std::uint64_t{text.size() & 0xff} << 56);
    s.v2 ^= 0xff;
    for (int i = 0; i < 3; ++i) s.round();
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

}  // namespace sluice
