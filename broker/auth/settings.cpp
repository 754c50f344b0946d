#include "auth/settings.hpp"

namespace sluice::auth {

std::span<const SettingRow> auth_rows() {
    using enum SettingKind;
    static constexpr SettingRow rows[] = {
        {.key = "password_file",
         .kind = path,
         .default_text = "",
         .doc = "User names and hashed passwords: lines of `name:SCRAM-SHA-256$...` as `sluicectl passwd` "
                "writes them, and of `name:$7$...` (PBKDF2-SHA512) or `name:$6$...` (SHA-512) as "
                "`mosquitto_passwd` does. With a line of the first kind MQTT 5 clients may log in by the "
                "Authentication Method SCRAM-SHA-256; all kinds serve user name and password. Without the "
                "file nobody can log in with a password; clients come in by certificate, or anonymously "
                "where the listener allows it.",
         .assign = bind_setting<&AuthSettings::password_file>,
         .reloadable = true},
        {.key = "acl_file",
         .kind = path,
         .default_text = "",
         .doc = "Who may read and write which topics, in the format of mosquitto's acl_file: `user NAME`, "
                "`topic [read|write|readwrite|deny] FILTER` and `pattern ...` with %c (client id) and %u "
                "(user name). What no line allows is refused. Without it every client may do everything.",
         .assign = bind_setting<&AuthSettings::acl_file>,
         .reloadable = true},
    };
    return rows;
}

}  // namespace sluice::auth
