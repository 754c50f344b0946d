#pragma once
/// ScramClient: the client's side of SCRAM-SHA-256 for tests, written from RFC 5802 with only the hashes of
/// the broker's own code.
#include <string>
#include <string_view>

#include "auth/crypto.hpp"

namespace sluice::test {

class ScramClient {
  public:
    ScramClient(std::string user_name, std::string password, std::string nonce = "fyko+d2lbbFgONRv9qkxdawL")
        : user_name_(std::move(user_name)), password_(std::move(password)), nonce_(std::move(nonce)) {}

    /// `user_name` goes as it is: one with ',' or '=' must be written as =2C or =3D.
    std::string first() const { return "n,," + bare(); }
    /// The answer to the server's "r=...,s=...,i=...". Empty when that is no challenge.
    std::string final_for(const std::string& challenge) {
        const std::size_t salt_at = challenge.find(",s="), count_at = challenge.find(",i=");
        if (!challenge.starts_with("r=") || salt_at == std::string::npos || count_at == std::string::npos)
            return "";
        const auto salt = auth::decode_base64(challenge.substr(salt_at + 3, count_at - salt_at - 3));
        const auto count = static_cast<std::uint32_t>(std::stoul(challenge.substr(count_at + 3)));
        if (!salt) return "";
        const auto salted = auth::pbkdf2_sha256(as_bytes(password_), *salt, count).value();
        const std::string without_proof = "c=biws," + challenge.substr(0, salt_at);
        const std::string message = bare() + "," + challenge + "," + without_proof;
        const auto client_key = auth::hmac_sha256(salted, as_bytes("Client Key")).value();
        const auto stored_key = auth::sha256(client_key).value();
        auto proof = auth::hmac_sha256(stored_key, as_bytes(message)).value();
        for (std::size_t i = 0; i < proof.size(); ++i) proof[i] ^= client_key[i];
        const auto server_key = auth::hmac_sha256(salted, as_bytes("Server Key")).value();
        server_final_ = "v=" + auth::encode_base64(auth::hmac_sha256(server_key, as_bytes(message)).value());
        return without_proof + ",p=" + auth::encode_base64(proof);
    }
    /// What a server that knows the password says at the end.
    const std::string& server_final() const { return server_final_; }

  private:
    std::string bare() const { return "n=" + user_name_ + ",r=" + nonce_; }

    std::string user_name_, password_, nonce_, server_final_;
};

}  // namespace sluice::test
