#pragma once
/// The names of the files: BASE.ndjson while it is written, BASE-20261129T210000Z-000001.ndjson when it is
/// finished.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "bridge/mapping.hpp"

namespace sluice::bridge::file {

/// So long may a base be that all names made of it stay within the 255 bytes of a file system.
constexpr std::size_t base_bytes_max = 150;

/// Why this cannot be the base of a file's name; empty when it can.
std::string base_problem(std::string_view base);

/// Of {topic} a '/' becomes a '_'. Nothing else is bent: two clients must not come to share a file by it.
void append_base(std::string& out, Template::Field field, std::string_view value);

std::string active_name(std::string_view base);
/// `number` rises with every file that is finished in a folder, and tells their order also when the clock of
/// a gateway without a battery has begun at 1970 again.
std::string finished_name(std::string_view base, WallTime now, std::uint64_t number);

struct FileName {
    std::string_view base;
    std::optional<std::uint64_t> number;  ///< of a finished file
};
/// What active_name() or finished_name() made; nothing when neither did.
std::optional<FileName> parse_name(std::string_view name);

/// UTC as "20261129T210000Z", in the years 1970 to 9999.
std::string compact_time(WallTime time);
/// UTC as "2026-11-29T21:00:00.123Z" (RFC 3339), in the years 1970 to 9999.
std::string line_time(WallTime time);

}  // namespace sluice::bridge::file
