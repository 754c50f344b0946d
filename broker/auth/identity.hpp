#pragma once
/// What every authenticator decides alike: clients that bring no password of their own.
#include <optional>

#include "auth/auth.hpp"

namespace sluice::auth {

/// The answer for a client that is known by its certificate, or that gives no user name; nothing when a user
/// name stands there to be checked.
std::optional<Result<Principal, Refusal>> judge_without_password(const Credentials& credentials);

}  // namespace sluice::auth
