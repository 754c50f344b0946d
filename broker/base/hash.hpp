#pragma once
/// stable_hash: the same value on every machine and in every version; decides a client's home shard.
#include <cstdint>
#include <string_view>

namespace sluice {

/// FNV-1a, 64 bit, with a final mix so that the low bits are good enough for a modulo.
constexpr std::uint64_t stable_hash(std::string_view text) {
    std::uint64_t h = 0xcbf29ce484222325ULL;
    for (const char c : text) {
        h ^= static_cast<std::uint8_t>(c);
        h *= 0x100000001b3ULL;
    }
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93ULL;
    return h ^ (h >> 32);
}

}  // namespace sluice
