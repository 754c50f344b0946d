#pragma once
/// What a server keeps of a password for SCRAM-SHA-256 (RFC 5802, RFC 7677): enough to check a proof, too
/// little to give one.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "auth/crypto.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"

namespace sluice::auth {

struct ScramKeys {
    /// RFC 7677 4: not fewer. A client computes as many at each login, so more is dear for small devices.
    static constexpr std::uint32_t iterations_min = 4096, iterations_default = 4096;
    /// Ten seconds or more of CPU for one login; more is a mistake.
    static constexpr std::uint32_t iterations_max = 10'000'000;
    static constexpr std::size_t salt_bytes_default = 16, salt_bytes_max = 1024;
    static constexpr std::string_view scheme = "SCRAM-SHA-256";

    std::uint32_t iterations = iterations_default;
    ByteBuffer salt;
    Sha256 stored_key{}, server_key{};

    /// Whether it is the password of these keys; for a login with user name and password. As slow as the
    /// iterations make it. Prepared by SASLprep when that can be done, else taken as it is.
    bool matches(std::string_view password) const;
};

/// The keys of a password that is prepared already. Empty when the library fails (out of memory).
std::optional<ScramKeys> make_scram_keys(std::string_view prepared_password, ByteBuffer salt,
                                         std::uint32_t iterations);

/// "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>", the form of RFC 5803 that PostgreSQL uses
/// too.
std::string to_text(const ScramKeys& keys);
/// `text`: what stands behind "SCRAM-SHA-256$". The error is the problem and what was expected, and never
/// quotes the text.
Result<ScramKeys, std::string> parse_scram_keys(std::string_view text);

}  // namespace sluice::auth
