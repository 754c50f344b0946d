#pragma once
/// The ports of the auth room: who is this (may wait), in one step or in an exchange; and may they (never
/// waits).
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/reason_code.hpp"

namespace sluice::auth {

struct Credentials {
    std::string client_id;
    std::optional<std::string> user_name;
    std::optional<std::string> password;
    std::optional<std::string>
        certificate_name;            ///< from the TLS identity of the listener; it is the user name then
    bool anonymous_allowed = false;  ///< the listener's `anonymous`
    /// How long the answer is worth waiting for; who cannot have it by then gets server_busy, at once where
    /// that is foreseeable.
    std::chrono::milliseconds patience = std::chrono::seconds(5);
    /// True once nobody waits for the answer any more; null: never.
    std::shared_ptr<const std::atomic<bool>> given_up{};
    /// What the client's logins are counted by beside those of others, when they have to wait: a word for
    /// its address. Empty: it has none.
    std::string source = {};
};

/// Who somebody is once they are in.
struct Principal {
    std::string user_name;  ///< empty: anonymous
};

struct Refusal {
    wire::ReasonCode code = wire::ReasonCode::not_authorized;
    std::string why;  ///< for the log, never for the peer: "unknown user", "wrong password"
    /// A word for the peer's developer, and nothing that helps to guess: "channel-binding-not-supported".
    std::string reason = {};
    /// A password, or a proof of one, was tried and was not right.
    bool guessed = false;
};

/// The client is asked for more [MQTT5 4.12].
struct Challenge {
    std::optional<ByteBuffer> data;
};
/// The client is who it says it is.
struct Admitted {
    Principal principal;
    ByteBuffer data;  ///< the server's own proof; may be empty
};
using ExchangeStep = std::variant<Challenge, Admitted, Refusal>;

/// One client's enhanced authentication, message by message.
class AuthExchange {
  public:
    using Answer = std::function<void(ExchangeStep)>;
    virtual ~AuthExchange() = default;
    /// `data`: the client's Authentication Data, which it may have left out; borrowed for the call. One step
    /// at a time: the next one after a Challenge. May answer at once on this thread or later on another,
    /// also when the exchange is gone by then.
    virtual void step(std::optional<Bytes> data, Answer answer) = 0;
};

class Authenticator {
  public:
    using Answer = std::function<void(Result<Principal, Refusal>)>;
    virtual ~Authenticator() = default;
    /// Any thread; may answer at once on this thread or later on another.
    virtual void authenticate(const Credentials& credentials, Answer answer) = 0;
    /// Any thread. Null when this Authentication Method is not offered.
    virtual std::unique_ptr<AuthExchange> begin_exchange(std::string_view method) = 0;
    /// Answers what still waits with server_busy, and everything that comes afterwards too; no answer comes
    /// from another thread once it has returned.
    virtual void stop() {}
};

enum class Action : std::uint8_t { publish, subscribe, deliver };

class Authorizer {
  public:
    virtual ~Authorizer() = default;
    /// Any thread, never blocks. `topic` is a topic name for publish and deliver, a filter (without
    /// "$share/GROUP/") for subscribe. `user_name` is empty for anonymous clients. subscribe allows a filter
    /// when some of what it matches may be read; deliver decides exactly, so whoever asks the one asks the
    /// other per message.
    virtual bool allows(Action action, std::string_view user_name, std::string_view client_id,
                        std::string_view topic) const = 0;
};

class DecoySecret;

/// Lines of `name:SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, and mosquitto_passwd's format:
/// `name:$7$iterations$salt$hash` (PBKDF2-SHA512) and `name:$6$salt$hash` (SHA-512). No user name is refused
/// unless anonymous is allowed. A wrong line is an error with file and line. An unknown user costs the same
/// time as a wrong password. Hashes on a thread of its own; when too many wait it refuses with server_busy,
/// and so it answers what waits when it is destroyed. Offers SCRAM-SHA-256 when the file has an entry for it;
/// `secret` (shared with the authenticators before and after it; null: one of its own) hides which names
/// have one.
Result<std::shared_ptr<Authenticator>, std::string> load_password_file(
    const std::string& path, std::shared_ptr<const DecoySecret> secret = nullptr);
/// Without a password file: certificate names, and anonymous where allowed; there a client that gives a user
/// name comes in too, but its name is not believed: it stays anonymous. Nobody else.
std::shared_ptr<Authenticator> make_open_authenticator();

/// mosquitto's acl_file: `topic [read|write|readwrite|deny] FILTER`, `user NAME`, `pattern ...` with %c and
/// %u. As mosquitto does: without a match, no access.
Result<std::shared_ptr<const Authorizer>, std::string> load_acl_file(const std::string& path);
std::shared_ptr<const Authorizer> make_allow_all_authorizer();

}  // namespace sluice::auth
