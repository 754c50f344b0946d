#pragma once
/// The two ports of the auth room: who is this (may wait), and may they (never waits).
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

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
};

/// Who somebody is once they are in.
struct Principal {
    std::string user_name;  ///< empty: anonymous
};

struct Refusal {
    wire::ReasonCode code = wire::ReasonCode::not_authorized;
    std::string why;  ///< for the log, never for the peer: "unknown user", "wrong password"
};

class Authenticator {
  public:
    using Answer = std::function<void(Result<Principal, Refusal>)>;
    virtual ~Authenticator() = default;
    /// Any thread; may answer at once on this thread or later on another.
    virtual void authenticate(const Credentials& credentials, Answer answer) = 0;
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

/// mosquitto_passwd's format: `name:$7$iterations$salt$hash` (PBKDF2-SHA512) and `name:$6$salt$hash`
/// (SHA-512). No user name is refused unless anonymous is allowed. A wrong line is an error with file and
/// line. An unknown user costs the same time as a wrong password. Hashes on a thread of its own; when too
/// many wait it refuses with server_busy, and so it answers what waits when it is destroyed.
Result<std::shared_ptr<Authenticator>, std::string> load_password_file(const std::string& path);
/// Without a password file: certificate names, and anonymous where allowed; there a client that gives a user
/// name comes in too, but its name is not believed: it stays anonymous. Nobody else.
std::shared_ptr<Authenticator> make_open_authenticator();

/// mosquitto's acl_file: `topic [read|write|readwrite|deny] FILTER`, `user NAME`, `pattern ...` with %c and
/// %u. As mosquitto does: without a match, no access.
Result<std::shared_ptr<const Authorizer>, std::string> load_acl_file(const std::string& path);
std::shared_ptr<const Authorizer> make_allow_all_authorizer();

}  // namespace sluice::auth
