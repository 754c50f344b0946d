#pragma once
/// The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677): text in, text out. Pure, no threads, no clock;
/// one step costs a few hashes of a few hundred bytes.
///
/// Channel binding is not done: a client that insists on it ('p') is refused, one that would have liked it
/// ('y') or does not know it ('n') is served. A name to act as (authzid) must be the user's own.
#include <functional>
#include <string>
#include <string_view>

#include "auth/scram_keys.hpp"
#include "base/result.hpp"

namespace sluice::auth {

/// What is known of a user name. For a name that is not known `keys` are made up, so that the client can go
/// on to the proof, which then fails.
struct ScramCredential {
    ScramKeys keys;
    bool known = false;
};

struct ScramRefusal {
    /// For the client: a word of RFC 5802 7 (server-error-value); it does not tell an unknown user from a
    /// wrong password.
    const char* error = "other-error";
    const char* why = "";  ///< for the log
    bool guessed = false;  ///< a proof was checked and was not right
};

/// One conversation. Usage: answer() each message of the client, in order, until done() or refused.
class ScramServer {
  public:
    using Lookup = std::function<ScramCredential(std::string_view user_name)>;
    /// Longer ones are refused: nobody has such a name.
    static constexpr std::size_t message_bytes_max = 4096;
    /// The server's own part of a nonce; base64 of 18 random bytes.
    static constexpr std::size_t nonce_bytes = 18;

    /// `nonce`: the server's part, never used before; printable, without ','. `lookup` is called once, for a
    /// name that is well-formed and prepared by SASLprep.
    ScramServer(std::string nonce, Lookup lookup) : nonce_(std::move(nonce)), lookup_(std::move(lookup)) {}

    /// The next message for the client. After a refusal, and when done, every further message is refused.
    Result<std::string, ScramRefusal> answer(std::string_view message);
    /// The client has proved who it is; what answer() gave last is our own proof for it.
    bool done() const { return state_ == State::done; }
    /// Prepared by SASLprep; empty before the first message.
    const std::string& user_name() const { return user_name_; }

  private:
    enum class State : std::uint8_t { first, final, done, refused };
    using Step = Result<std::string, ScramRefusal>;

    Step on_client_first(std::string_view message);
    Step on_client_final(std::string_view message);
    Step check_proof(std::string_view without_proof, std::string_view proof);

    State state_ = State::first;
    std::string nonce_;  ///< from the first message on: the client's part and ours
    Lookup lookup_;
    std::string gs2_header_;
    std::string user_name_;
    std::string auth_message_;  ///< "client-first-message-bare,server-first-message,"
    ScramCredential credential_;
};

}  // namespace sluice::auth
