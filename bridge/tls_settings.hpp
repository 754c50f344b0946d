#pragma once
/// What the connectors share about TLS towards their upstream: the keys, which of them go together, and
/// whether the files are what they should be. The handshake itself is the client library's.
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "base/result.hpp"
#include "base/settings.hpp"

namespace sluice::bridge {

/// A member `tls` of a connector's bridge settings; its rows are tls_rows<&THE_SETTINGS::tls>.
struct TlsSettings {
    std::optional<bool> tls;  ///< not said: on when another of these keys is set
    std::string ca_file;      ///< empty: the CAs that the system trusts
    std::string certificate;  ///< empty: none is shown to the server
    std::string key;
    std::string key_password;  ///< secret; empty: the key is not encrypted
    bool server_name_check = true;

    bool any_key_set() const {
        return !ca_file.empty() || !certificate.empty() || !key.empty() || !key_password.empty() ||
               !server_name_check;
    }
    /// `otherwise` is what the connector does when no key says anything.
    bool enabled(bool otherwise = false) const { return tls.value_or(otherwise || any_key_set()); }
    bool operator==(const TlsSettings&) const = default;
};

/// What goes together, and the files: each there, readable, PEM of its kind, the key the certificate's own.
/// For `create`, and again before each attempt to connect, since files are replaced. The error names key,
/// file, problem and expectation, and never what a file holds.
Result<void, std::string> check_tls(const TlsSettings& settings);

namespace detail {
template <auto Outer, auto Inner>
void assign_nested(void* settings, const SettingValue& value) {
    using C = typename sluice::detail::MemberOf<decltype(Outer)>::Class;
    bind_setting<Inner>.assign(&(static_cast<C*>(settings)->*Outer), value);
}
template <auto Outer, auto Inner>
bool same_nested(const void* a, const void* b) {
    using C = typename sluice::detail::MemberOf<decltype(Outer)>::Class;
    return bind_setting<Inner>.same(&(static_cast<const C*>(a)->*Outer), &(static_cast<const C*>(b)->*Outer));
}
template <std::size_t A, std::size_t B, std::size_t... I, std::size_t... J>
constexpr std::array<SettingRow, A + B> join_rows(const SettingRow (&a)[A],
                                                  const std::array<SettingRow, B>& b,
                                                  std::index_sequence<I...>, std::index_sequence<J...>) {
    return {a[I]..., b[J]...};
}
}  // namespace detail

/// bind_setting for a member of a member.
template <auto Outer, auto Inner>
constexpr SettingMember bind_nested{&detail::assign_nested<Outer, Inner>, &detail::same_nested<Outer, Inner>};

/// A connector's own rows, and then shared ones.
template <std::size_t A, std::size_t B>
constexpr std::array<SettingRow, A + B> join_rows(const SettingRow (&own)[A],
                                                  const std::array<SettingRow, B>& shared) {
    return detail::join_rows(own, shared, std::make_index_sequence<A>(), std::make_index_sequence<B>());
}

/// The rows of the TlsSettings that are the member `Outer` of a connector's bridge settings.
template <auto Outer>
constexpr std::array<SettingRow, 6> tls_rows{{
    {.key = "tls",
     .kind = SettingKind::boolean,
     .default_text = "",
     .doc = "Encrypt the connection. Left out: on when another key of TLS is there or the preset wants it.",
     .assign = bind_nested<Outer, &TlsSettings::tls>},
    {.key = "ca_file",
     .kind = SettingKind::path,
     .default_text = "",
     .doc = "PEM file with the CA certificates that vouch for the server; left out: those of the system.",
     .assign = bind_nested<Outer, &TlsSettings::ca_file>},
    {.key = "certificate",
     .kind = SettingKind::path,
     .default_text = "",
     .doc = "PEM file with the certificate to show to the server, followed by the intermediate ones if there "
            "are any. Files are read again with every connection.",
     .assign = bind_nested<Outer, &TlsSettings::certificate>},
    {.key = "key",
     .kind = SettingKind::path,
     .default_text = "",
     .doc = "PEM file with the private key of `certificate`.",
     .assign = bind_nested<Outer, &TlsSettings::key>},
    {.key = "key_password",
     .kind = SettingKind::secret,
     .default_text = "",
     .doc = "The pass phrase of `key`, when it is encrypted.",
     .assign = bind_nested<Outer, &TlsSettings::key_password>},
    {.key = "server_name_check",
     .kind = SettingKind::boolean,
     .default_text = "true",
     .doc = "The server's certificate must name the host that `servers` names. Without this check everybody "
            "with a certificate of the CA can pose as the server.",
     .assign = bind_nested<Outer, &TlsSettings::server_name_check>},
}};

}  // namespace sluice::bridge
