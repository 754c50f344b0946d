#include "auth/scram.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "auth/saslprep.hpp"
#include "wire/topic.hpp"

namespace sluice::auth {
namespace {

constexpr Err<ScramRefusal> refuse(const char* error, const char* why) {
    return {ScramRefusal{error, why}};
}
Err<ScramRefusal> malformed(const char* why) {
    return refuse("invalid-encoding", why);
}

/// Cuts the part in front of the next ',' off; false when nothing is left.
bool cut_part(std::optional<std::string_view>& rest, std::string_view& part) {
    if (!rest) return false;
    const std::size_t comma = rest->find(',');
    part = rest->substr(0, comma);
    rest = comma == std::string_view::npos ? std::nullopt : std::optional(rest->substr(comma + 1));
    return true;
}

/// The value of "x=value", when it is attribute `name` and not empty.
std::optional<std::string_view> value_of(std::string_view part, char name) {
    if (part.size() < 3 || part[0] != name || part[1] != '=') return std::nullopt;
    return part.substr(2);
}

/// attr-val of RFC 5802 7: a letter, '=' and some text.
bool is_extension(std::string_view part) {
    const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
    return part.size() >= 3 && is_letter(part[0]) && part[1] == '=';
}

/// Extensions that nobody needs to understand; what is left of the message.
bool are_extensions(std::optional<std::string_view> rest) {
    for (std::string_view part; cut_part(rest, part);) {
        if (!is_extension(part)) return false;
    }
    return true;
}

bool is_nonce(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F && c != ','; });
}

/// saslname of RFC 5802 7 undone ("=2C" is ',', "=3D" is '='), then prepared. Nothing when it is no name.
std::optional<std::string> decode_name(std::string_view text) {
    std::string name;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '=') {
            name.push_back(text[at]);
            continue;
        }
        const std::string_view code = text.substr(at, 3);
        if (code != "=2C" && code != "=3D") return std::nullopt;
        name.push_back(code == "=2C" ? ',' : '=');
        at += 2;
    }
    auto prepared = saslprep(name);
    if (!prepared || prepared->empty()) return std::nullopt;
    return prepared;
}

}  // namespace

Result<std::string, ScramRefusal> ScramServer::answer(std::string_view message) {
    const State state = state_;
    state_ = State::refused;  // unless the step says otherwise
    if (message.size() > message_bytes_max) return malformed("the SCRAM message is too long");
    if (!wire::is_mqtt_utf8(message)) return malformed("the SCRAM message is not UTF-8 without zero bytes");
    if (state == State::first) return on_client_first(message);
    if (state == State::final) return on_client_final(message);
    return refuse("other-error", "a SCRAM message behind the end");
}

// client-first-message = gs2-cbind-flag "," [authzid] "," [reserved-mext ","] "n=" name ",r=" nonce [","
// extensions]
ScramServer::Step ScramServer::on_client_first(std::string_view message) {
    std::optional<std::string_view> rest = message;
    std::string_view flag, authzid, part;
    cut_part(rest, flag);
    if (flag.starts_with("p="))
        return refuse("channel-binding-not-supported", "the client insists on channel binding");
    if (flag != "n" && flag != "y") return malformed("the SCRAM message does not begin with 'n', 'y' or 'p'");
    if (!cut_part(rest, authzid) || !rest) return malformed("the GS2 header is cut short");
    gs2_header_ = message.substr(0, message.size() - rest->size());
    const std::string_view bare = *rest;
    cut_part(rest, part);
    if (part.starts_with("m=")) return refuse("extensions-not-supported", "a mandatory SCRAM extension");
    const auto encoded = value_of(part, 'n');
    if (!encoded) return malformed("the user name is missing in the SCRAM message");
    const auto name = decode_name(*encoded);
    if (!name) return refuse("invalid-username-encoding", "the user name is not what SASLprep allows");
    const auto nonce = cut_part(rest, part) ? value_of(part, 'r') : std::nullopt;
    if (!nonce || !is_nonce(*nonce))
        return malformed("the nonce is missing in the SCRAM message, or not printable");
    if (!are_extensions(rest)) return malformed("an extension in the SCRAM message is malformed");
    if (!authzid.empty()) {
        const auto wanted = value_of(authzid, 'a');
        if (!wanted) return malformed("the authorization name in the SCRAM message is malformed");
        if (decode_name(*wanted) != name)
            return refuse("other-error", "the client wants to act as another user");
    }
    user_name_ = *name;
    credential_ = lookup_(user_name_);
    nonce_.insert(0, *nonce);
    std::string reply = fmt::format("r={},s={},i={}", nonce_, encode_base64(credential_.keys.salt),
                                    credential_.keys.iterations);
    auth_message_ = fmt::format("{},{},", bare, reply);
    state_ = State::final;
    return reply;
}

// client-final-message = "c=" base64 ",r=" nonce ["," extensions] ",p=" base64
ScramServer::Step ScramServer::on_client_final(std::string_view message) {
    std::optional<std::string_view> rest = message;
    std::string_view part;
    cut_part(rest, part);
    const auto binding = value_of(part, 'c');
    if (!binding) return malformed("the channel binding is missing in the final SCRAM message");
    if (*binding != encode_base64(as_bytes(gs2_header_)))
        return refuse("channel-bindings-dont-match", "the GS2 header of the first SCRAM message was changed");
    const auto nonce = cut_part(rest, part) ? value_of(part, 'r') : std::nullopt;
    if (!nonce) return malformed("the nonce is missing in the final SCRAM message");
    if (!equal_in_constant_time(as_bytes(*nonce), as_bytes(nonce_)))
        return refuse("other-error", "the nonce of the final SCRAM message is not that of the exchange");
    const std::size_t last = message.rfind(',');
    const auto proof = value_of(message.substr(last + 1), 'p');
    if (!proof) return malformed("the proof is missing at the end of the final SCRAM message");
    const std::string_view without_proof = message.substr(0, last);
    const std::size_t extensions = message.size() - (rest ? rest->size() : 0);
    if (extensions <= last) {
        const std::string_view between = without_proof.substr(extensions);
        if (between.starts_with("m="))
            return refuse("extensions-not-supported", "a mandatory SCRAM extension");
        if (!are_extensions(between))
            return malformed("an extension in the final SCRAM message is malformed");
    }
    return check_proof(without_proof, *proof);
}

ScramServer::Step ScramServer::check_proof(std::string_view without_proof, std::string_view proof) {
    const auto client_proof = decode_base64(proof);
    if (!client_proof || client_proof->size() != sizeof(Sha256))
        return malformed("the proof in the final SCRAM message is not base64 of 32 bytes");
    auth_message_ += without_proof;
    const ScramKeys& keys = credential_.keys;
    const auto client_signature = hmac_sha256(keys.stored_key, as_bytes(auth_message_));
    const auto server_signature = hmac_sha256(keys.server_key, as_bytes(auth_message_));
    if (!client_signature || !server_signature) return refuse("no-resources", "out of memory");
    Sha256 client_key{};
    for (std::size_t i = 0; i < client_key.size(); ++i)
        client_key[i] = (*client_proof)[i] ^ (*client_signature)[i];
    const auto stored_key = sha256(client_key);
    if (!stored_key) return refuse("no-resources", "out of memory");
    const bool proved = equal_in_constant_time(*stored_key, keys.stored_key);
    if (!credential_.known || !proved) {
        return Err{ScramRefusal{
            "invalid-proof",
            credential_.known ? "wrong password" : "unknown user, or one without a SCRAM entry", true}};
    }
    state_ = State::done;
    return "v=" + encode_base64(*server_signature);
}

}  // namespace sluice::auth
