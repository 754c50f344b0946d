#include "auth/identity.hpp"

namespace sluice::auth {
namespace {

/// Without a password file a user name proves nothing. Who sends one all the same comes in as nobody, if
/// nobody may come in: many devices have a user name set that their broker never asked for.
class OpenAuthenticator final : public Authenticator {
  public:
    void authenticate(const Credentials& credentials, Answer answer) override {
        if (const auto verdict = judge_without_password(credentials)) {
            answer(*verdict);
        } else if (credentials.anonymous_allowed) {
            answer(Principal{});
        } else {
            answer(Err{Refusal{wire::ReasonCode::bad_user_name_or_password, "there is no password file"}});
        }
    }
    std::unique_ptr<AuthExchange> begin_exchange(std::string_view) override { return nullptr; }
};

}  // namespace

std::optional<Result<Principal, Refusal>> judge_without_password(const Credentials& credentials) {
    if (credentials.certificate_name) {
        // An empty name would make its bearer anonymous.
        if (credentials.certificate_name->empty())
            return Err{Refusal{wire::ReasonCode::not_authorized, "the certificate has no name"}};
        return Principal{*credentials.certificate_name};
    }
    if (credentials.user_name) return std::nullopt;
    if (credentials.anonymous_allowed) return Principal{};
    return Err{Refusal{wire::ReasonCode::not_authorized, "no user name"}};
}

std::shared_ptr<Authenticator> make_open_authenticator() {
    return std::make_shared<OpenAuthenticator>();
}

}  // namespace sluice::auth
