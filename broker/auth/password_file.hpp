#pragma once
/// The password file, read: who has which hash. Pure and slow (hashing); knows no threads.
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "auth/crypto.hpp"
#include "auth/decoy_secret.hpp"
#include "auth/scram.hpp"
#include "base/bytes.hpp"
#include "base/keyed_hash.hpp"
#include "base/result.hpp"

namespace sluice::auth {

/// One hashed password, as mosquitto_passwd makes them.
struct PasswordHash {
    enum class Scheme : std::uint8_t {
        sha512,         ///< $6$: SHA-512 of password and salt, once
        pbkdf2_sha512,  ///< $7$
    };
    Scheme scheme = Scheme::pbkdf2_sha512;
    std::uint32_t iterations = 101;  ///< what mosquitto_passwd uses; for $7$ only
    ByteBuffer salt = ByteBuffer(12);
    Sha512 hash{};

    bool matches(std::string_view password) const;
};

using PasswordEntry = std::variant<PasswordHash, ScramKeys>;

class PasswordTable {
  public:
    enum class Verdict : std::uint8_t { accepted, unknown_user, wrong_password };

    /// False when the name is there already.
    bool add(std::string name, PasswordEntry entry);
    /// Always computes one hash: for an unknown user that of somebody else, always the same one for the same
    /// name, so that neither one answer's time nor a comparison of many tells which names exist.
    /// Which hash that is depends on the secret, and on what kinds of hashes there are, not on who has them.
    Verdict check(std::string_view name, std::string_view password, const DecoySecret& secret) const;
    std::size_t size() const { return entries_.size(); }

    /// Somebody could log in by SCRAM.
    bool has_scram() const { return !scram_kinds_.empty(); }
    /// Only when has_scram(). For a name that has no SCRAM entry the keys are made up from the secret, the
    /// same ones whenever it is asked; their number of iterations and length of salt are among those of the
    /// file. They change with the kinds that the file has, and then as a new password changes them. Takes the
    /// same time for every name.
    ScramCredential scram_credential(std::string_view name, const DecoySecret& secret) const;

  private:
    /// What a client sees of an entry: iterations, bytes of salt.
    using ScramKind = std::pair<std::uint32_t, std::size_t>;

    const PasswordEntry& decoy(std::string_view name, const DecoySecret& secret) const;
    ScramKeys made_up_keys(std::string_view name, const DecoySecret& secret) const;

    struct NameHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
    };
    std::unordered_map<std::string, std::size_t, NameHash, std::equal_to<>> index_;
    std::vector<PasswordEntry> entries_;
    std::vector<ScramKind> scram_kinds_;  ///< ascending, each once
    /// One entry of each kind that takes a time of its own, by what makes it up.
    std::vector<std::pair<std::string, std::size_t>> costs_;
    PasswordEntry nobody_;  ///< the decoy of an empty file
};

/// `file` is for the messages: "FILE:LINE: problem; expected ...". They never quote what follows the name.
Result<PasswordTable, std::string> parse_passwords(std::string_view text, std::string_view file);

}  // namespace sluice::auth
