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

using Sha256 = std::array<std::uint8_t, 32>;
using Sha512 = std::array<std::uint8_t, 64>;

/// SHA-512 of the two parts, one after the other. Empty when the library fails (out of memory).
std::optional<Sha512> sha512(Bytes first, Bytes second);
/// PBKDF2 with HMAC-SHA-512, 64 bytes (RFC 8018 5.2). Takes `iterations` times about two microseconds.
std::optional<Sha512> pbkdf2_sha512(Bytes password, Bytes salt, std::uint32_t iterations);

std::optional<Sha256> sha256(Bytes data);
/// HMAC-SHA-256 (RFC 2104) of the two parts, one after the other.
std::optional<Sha256> hmac_sha256(Bytes key, Bytes first, Bytes second = {});
/// PBKDF2 with HMAC-SHA-256, 32 bytes: what RFC 5802 calls Hi().
std::optional<Sha256> pbkdf2_sha256(Bytes password, Bytes salt, std::uint32_t iterations);

/// Takes the same time wherever the first difference is. False when the sizes differ.
bool equal_in_constant_time(Bytes a, Bytes b);

/// From the kernel, good for keys and nonces.
void fill_random(MutableBytes out);

/// Overwrites a secret before its memory is given back; the compiler may not leave it out.
void wipe(std::string& secret);

/// Empty when it is not base64.
std::optional<ByteBuffer> decode_base64(std::string_view text);
/// One line, padded with '='.
std::string encode_base64(Bytes bytes);

}  // namespace sluice::auth
