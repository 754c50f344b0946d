#pragma once
/// The few things that this room needs from a crypto library; the only file here that knows mbedTLS, and the
/// differences between its versions 2.28 and 3.6.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace sluice::auth {

using Sha512 = std::array<std::uint8_t, 64>;

/// SHA-512 of the two parts, one after the other. Empty when the library fails (out of memory).
std::optional<Sha512> sha512(Bytes first, Bytes second);
/// PBKDF2 with HMAC-SHA-512, 64 bytes (RFC 8018 5.2). Takes `iterations` times about two microseconds.
std::optional<Sha512> pbkdf2_sha512(Bytes password, Bytes salt, std::uint32_t iterations);

/// Takes the same time wherever the first difference is.
bool equal_in_constant_time(const Sha512& a, const Sha512& b);

/// Overwrites a secret before its memory is given back; the compiler may not leave it out.
void wipe(std::string& secret);

/// Empty when it is not base64.
std::optional<ByteBuffer> decode_base64(std::string_view text);

}  // namespace sluice::auth
