#pragma once
/// `[auth]`: who may come in, and what they may do.
#include <string>

#include "base/settings.hpp"

namespace sluice::auth {

struct AuthSettings {
    std::string password_file;  ///< of sluicectl passwd or mosquitto_passwd; empty: no passwords
    std::string acl_file;       ///< mosquitto's format; empty: everybody who is in may do everything
    bool operator==(const AuthSettings&) const = default;
};
std::span<const SettingRow> auth_rows();

}  // namespace sluice::auth
