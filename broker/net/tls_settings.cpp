#include <array>

#include "net/tls.hpp"

namespace sluice::net {
namespace {

constexpr std::array<std::string_view, 3> client_certificate_choices{"none", "optional", "required"};
constexpr std::array<std::string_view, 3> identity_choices{"none", "common_name", "subject"};

// Files are read again on reload (their paths and all else are not); clients that are connected keep their
// sessions.
constexpr std::array<SettingRow, 7> rows{{
    {.key = "certificate",
     .kind = SettingKind::path,
     .default_text = "",
     .doc = "PEM file with the server's certificate, followed by the intermediate ones if there are any.",
     .assign = bind_setting<&TlsSettings::certificate>,
     .reloadable = true,
     .required = true},
    {.key = "key",
     .kind = SettingKind::path,
     .default_text = "",
     .doc = "PEM file with the server's private key, without a pass phrase. ECDSA P-256 makes the fastest "
            "handshakes.",
     .assign = bind_setting<&TlsSettings::key>,
     .reloadable = true,
     .required = true},
    {.key = "client_ca",
     .kind = SettingKind::path,
     .default_text = "",
     .doc = "PEM file with the CA certificates that sign the clients' certificates.",
     .assign = bind_setting<&TlsSettings::client_ca>,
     .reloadable = true},
    {.key = "client_certificate",
     .kind = SettingKind::choice,
     .default_text = "none",
     .doc = "Whether a client must prove itself by a certificate of client_ca. With \"optional\" it may have "
            "none, but "
            "not a bad one.",
     .assign = bind_setting<&TlsSettings::client_certificate>,
     .choices = client_certificate_choices},
    {.key = "identity",
     .kind = SettingKind::choice,
     .default_text = "none",
     .doc = "What of the client's certificate becomes the MQTT user name: its common name, or its whole "
            "subject as "
            "in RFC 4514 (\"CN=device-0001,O=Example\").",
     .assign = bind_setting<&TlsSettings::identity>,
     .choices = identity_choices},
    {.key = "session_tickets",
     .kind = SettingKind::boolean,
     .default_text = "true",
     .doc = "Lets a returning client resume its TLS session, by ticket or session id: about 70 times cheaper "
            "than a "
            "full handshake.",
     .assign = bind_setting<&TlsSettings::session_tickets>},
    {.key = "session_lifetime",
     .kind = SettingKind::duration,
     .default_text = "24h",
     .doc = "How long a TLS session can be resumed before a full handshake is needed again.",
     .assign = bind_setting<&TlsSettings::session_lifetime>,
     .minimum = 60 * 1000,
     .maximum = 7LL * 24 * 3600 * 1000},
}};

}  // namespace

std::span<const SettingRow> tls_setting_rows() {
    return rows;
}

}  // namespace sluice::net
