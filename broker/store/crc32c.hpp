#pragma once
/// CRC-32C (Castagnoli). SQLite does not notice a flipped bit in a payload, so each stored value carries one.
#include <cstdint>

#include "base/bytes.hpp"

namespace sluice::store {

/// `seed` chains runs: crc32c(b, crc32c(a)) is the sum of a followed by b.
std::uint32_t crc32c(Bytes bytes, std::uint32_t seed = 0);

/// The sum of a value under its key, so that a value that turns up under another key is noticed too.
std::uint32_t crc32c_of(std::uint64_t key, Bytes bytes);

}  // namespace sluice::store
