#include "auth/scram_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "auth/saslprep.hpp"

namespace sluice::auth {
namespace {

/// ClientKey and what is kept of it [RFC 5802 3].
bool derive(std::string_view password, ScramKeys& keys) {
    const auto salted = pbkdf2_sha256(as_bytes(password), keys.salt, keys.iterations);
    if (!salted) return false;
    const auto client_key = hmac_sha256(*salted, as_bytes("Client Key"));
    const auto server_key = hmac_sha256(*salted, as_bytes("Server Key"));
    if (!client_key || !server_key) return false;
    const auto stored_key = sha256(*client_key);
    if (!stored_key) return false;
    keys.stored_key = *stored_key;
    keys.server_key = *server_key;
    return true;
}

/// The part in front of `mark`, which goes too; all of it when there is none.
std::string_view cut_at(std::string_view& text, char mark) {
    const std::size_t end = text.find(mark);
    const std::string_view part = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    return part;
}

bool parse_key(std::string_view text, Sha256& out) {
    const auto bytes = decode_base64(text);
    if (!bytes || bytes->size() != out.size()) return false;
    std::copy(bytes->begin(), bytes->end(), out.begin());
    return true;
}

}  // namespace

bool ScramKeys::matches(std::string_view password) const {
    ScramKeys given{.iterations = iterations, .salt = salt};
    auto prepared = saslprep(password);
    const bool derived = derive(prepared ? std::string_view(*prepared) : password, given);
    if (prepared) wipe(*prepared);
    return derived && equal_in_constant_time(given.stored_key, stored_key);
}

std::optional<ScramKeys> make_scram_keys(std::string_view prepared_password, ByteBuffer salt,
                                         std::uint32_t iterations) {
    ScramKeys keys{.iterations = iterations, .salt = std::move(salt)};
    if (!derive(prepared_password, keys)) return std::nullopt;
    return keys;
}

std::string to_text(const ScramKeys& keys) {
    return fmt::format("{}${}:{}${}:{}", ScramKeys::scheme, keys.iterations, encode_base64(keys.salt),
                       encode_base64(keys.stored_key), encode_base64(keys.server_key));
}

Result<ScramKeys, std::string> parse_scram_keys(std::string_view text) {
    ScramKeys keys;
    const std::string_view number = cut_at(text, ':');
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), keys.iterations);
    if (error != std::errc{} || end != number.data() + number.size() ||
        keys.iterations < ScramKeys::iterations_min || keys.iterations > ScramKeys::iterations_max)
        return Err{fmt::format("the number of iterations is wrong; expected {} to {}",
                               ScramKeys::iterations_min, ScramKeys::iterations_max)};
    auto salt = decode_base64(cut_at(text, '$'));
    if (!salt || salt->empty() || salt->size() > ScramKeys::salt_bytes_max)
        return Err{
            fmt::format("the salt is damaged; expected base64 of 1 to {} bytes", ScramKeys::salt_bytes_max)};
    keys.salt = std::move(*salt);
    if (!parse_key(cut_at(text, ':'), keys.stored_key))
        return Err{fmt::format("the stored key is damaged; expected base64 of {} bytes", sizeof(Sha256))};
    if (!parse_key(text, keys.server_key))
        return Err{fmt::format("the server key is damaged; expected base64 of {} bytes", sizeof(Sha256))};
    return keys;
}

}  // namespace sluice::auth
