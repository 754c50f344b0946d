#include <sys/un.h>

#include <fmt/format.h>

#include <algorithm>

#include "app/config_sections.hpp"
#include "net/ip_address.hpp"
#include "net/websocket_origin.hpp"

namespace sluice::app {
namespace {

using listener::ListenerSettings;
using listener::Transport;

/// The place of a key when it was given, else that of its table.
Place place_of(const TomlNode& table, std::string_view key) {
    const TomlNode* node = table.find(key);
    return node == nullptr ? table.place : node->place;
}

/// Whether only this machine reaches the socket.
bool is_local_socket(const ListenerSettings& listener) {
    return listener.transport == Transport::unix_socket || is_loopback_address(listener.address);
}

/// Whether its clients are all on this machine; behind a proxy they are wherever that is reached from.
bool is_local_only(const ListenerSettings& listener) {
    return is_local_socket(listener) && listener.proxy_protocol != listener::ProxyProtocol::required;
}

void check_address(ConfigReader& reader, const TomlNode& table, const std::string& key,
                   const std::string& address) {
    if (address.empty() || is_ip_address(address)) return;
    reader.error(place_of(table, "address"), key, "is not an IP address",
                 "expected one such as 127.0.0.1, 0.0.0.0 or ::1, without brackets or port");
}

void check_unix_socket(ConfigReader& reader, const TomlNode& table, const ListenerSettings& listener) {
    if (table.find("path") == nullptr) {
        reader.error(table.place, "listener.path", "is missing",
                     "expected the path of the socket for transport \"unix\"");
    } else if (listener.path.size() >= sizeof(sockaddr_un{}.sun_path)) {
        reader.error(place_of(table, "path"), "listener.path", "is too long for a Unix socket",
                     fmt::format("expected at most {} bytes", sizeof(sockaddr_un{}.sun_path) - 1));
    }
    if (!listener::parse_mode(listener.mode)) {
        reader.error(place_of(table, "mode"), "listener.mode", "is not a mode",
                     "expected octal digits such as \"0660\"");
    }
    for (const char* key : {"address", "port"}) {
        if (table.find(key) == nullptr) continue;
        reader.error(place_of(table, key), fmt::format("listener.{}", key),
                     "has no meaning for transport \"unix\"", "expected only `path`");
    }
}

void check_tcp(ConfigReader& reader, const TomlNode& table, const ListenerSettings& listener) {
    check_address(reader, table, "listener.address", listener.address);
    for (const char* key : {"path", "mode"}) {
        if (table.find(key) == nullptr) continue;
        reader.error(place_of(table, key), fmt::format("listener.{}", key),
                     "is given without transport \"unix\"",
                     "expected `address` and `port`, or transport = \"unix\"");
    }
}

void check_anonymous(ConfigReader& reader, const TomlNode& table, const ListenerSettings& listener) {
    if (!listener.anonymous || listener.insecure || is_local_only(listener)) return;
    if (!listener.address.empty() && !is_ip_address(listener.address)) return;  // has its own error
    reader.error(place_of(table, "anonymous"), "listener.anonymous",
                 is_local_socket(listener) ? "is true behind a proxy, which other machines may reach"
                                           : "is true on an address that other machines reach",
                 is_local_socket(listener)
                     ? "expected no proxy_protocol, or `insecure = true` beside it"
                     : "expected a loopback address such as 127.0.0.1, or `insecure = true` beside it");
}

void check_proxy(ConfigReader& reader, const TomlNode& table, const ListenerSettings& listener) {
    const bool required = listener.proxy_protocol == listener::ProxyProtocol::required;
    if (table.find("proxy_from") != nullptr && !required) {
        reader.error(place_of(table, "proxy_from"), "listener.proxy_from",
                     "is given without the PROXY protocol",
                     "expected proxy_protocol = \"required\" beside it");
    }
    if (table.find("proxy_from") != nullptr && listener.transport == Transport::unix_socket) {
        reader.error(place_of(table, "proxy_from"), "listener.proxy_from",
                     "has no meaning for transport \"unix\"", "expected `mode` to say who may connect");
    }
    for (const std::string& text : listener.proxy_from) {
        if (net::parse_network(text)) continue;
        reader.error(place_of(table, "proxy_from"), "listener.proxy_from",
                     fmt::format("holds \"{}\", which is neither an IP address nor a network", text),
                     "expected such as \"192.0.2.7\", \"10.0.0.0/8\" or \"2001:db8::/32\"");
    }
    if (required && listener.proxy_from.empty() && !is_local_socket(listener)) {
        reader.warn(place_of(table, "proxy_protocol"), "listener.proxy_protocol",
                    "lets whoever reaches the port claim any address", "expected `proxy_from` beside it");
    }
}

void check_websocket(ConfigReader& reader, const TomlNode& table, const ListenerSettings& listener) {
    for (const char* key : {"origins", "websocket_path"}) {
        if (table.find(key) == nullptr || listener.transport == Transport::websocket) continue;
        reader.error(place_of(table, key), fmt::format("listener.{}", key),
                     "is given without transport \"websocket\"",
                     "expected transport = \"websocket\" beside it");
    }
    for (const std::string& text : listener.origins) {
        if (net::normalize_origin(text)) continue;
        reader.error(place_of(table, "origins"), "listener.origins",
                     fmt::format("holds \"{}\", which is not the origin of a page", text),
                     "expected such as \"https://dash.example\", without a path; \"null\" or \"*\"");
    }
    const std::string& path = listener.websocket_path;
    const bool legal = path.starts_with('/') && path.find_first_of(" ?#\t\r\n") == std::string::npos;
    if (!path.empty() && !legal) {
        reader.error(place_of(table, "websocket_path"), "listener.websocket_path",
                     "is not the path of a request",
                     "expected one that begins with a slash, such as \"/mqtt\", without \"?\" or spaces");
    }
}

void check_tls(ConfigReader& reader, const TomlNode& table, const net::TlsSettings& tls) {
    const auto need_file = [&](std::string_view key, const std::string& value) {
        // A given but bad value has its own error already; a required row, too.
        if (!value.empty() || table.find(key) != nullptr) return;
        for (const SettingRow& row : net::tls_setting_rows()) {
            if (row.key == key && row.required) return;
        }
        reader.error(table.place, fmt::format("listener.tls.{}", key), "is missing", "expected a PEM file");
    };
    need_file("certificate", tls.certificate);
    need_file("key", tls.key);
    const bool asks_for_certificates = tls.client_certificate != net::ClientCertificate::none;
    if (asks_for_certificates && table.find("client_ca") == nullptr) {
        reader.error(place_of(table, "client_certificate"), "listener.tls.client_certificate",
                     "asks for certificates, but there is nothing to check them with",
                     "expected `client_ca` beside it");
    }
    if (tls.identity != net::TlsIdentity::none && !asks_for_certificates) {
        reader.error(place_of(table, "identity"), "listener.tls.identity",
                     "takes the user name from a certificate that clients are not asked for",
                     "expected client_certificate = \"required\" or \"optional\" beside it");
    }
    if (table.find("client_ca") != nullptr && table.find("client_certificate") == nullptr) {
        reader.warn(place_of(table, "client_ca"), "listener.tls.client_ca",
                    "has no effect: clients are not asked for certificates",
                    "expected client_certificate = \"required\" or \"optional\" beside it");
    }
}

void warn_of_risks(ConfigReader& reader, const TomlNode& table, const ListenerSettings& listener,
                   const auth::AuthSettings& auth) {
    const bool by_certificate = listener.tls && listener.tls->identity != net::TlsIdentity::none;
    if (!listener.anonymous && auth.password_file.empty() && !by_certificate) {
        reader.warn(table.place, "listener", "lets nobody in",
                    "expected `auth.password_file`, an `identity` from certificates, or `anonymous`");
    } else if (!listener.tls && !listener.insecure && !is_local_socket(listener)) {
        reader.warn(table.place, "listener", "carries passwords and messages in clear text over the network",
                    "expected [listener.tls], or `insecure = true` when that is meant");
    }
}

/// Two that want the same address and port: the second would fail at start.
void check_taken(ConfigReader& reader, const TomlNode& table, const std::vector<const TomlNode*>& tables,
                 const Config& config) {
    const ListenerSettings& mine = config.listeners.back();
    const bool is_unix = mine.transport == Transport::unix_socket;
    for (std::size_t i = 0; i + 1 < config.listeners.size(); ++i) {
        const ListenerSettings& other = config.listeners[i];
        if ((other.transport == Transport::unix_socket) != is_unix) continue;
        const bool taken = is_unix ? !mine.path.empty() && mine.path == other.path
                                   : mine.port != 0 && mine.port == other.port &&
                                         addresses_overlap(mine.address, other.address);
        if (!taken) continue;
        const char* key = is_unix ? "path" : "port";
        reader.error(place_of(table, key), fmt::format("listener.{}", key),
                     fmt::format("is taken by the listener at line {}", tables[i]->place.line),
                     is_unix ? "expected another path" : "expected another port or address");
        return;
    }
    if (!is_unix && config.admin && mine.port != 0 && mine.port == config.admin->port &&
        addresses_overlap(mine.address, config.admin->address)) {
        reader.error(place_of(table, "port"), "listener.port", "is taken by [admin]",
                     "expected another port or address");
    }
}

void read_listener(ConfigReader& reader, const TomlNode& table, ListenerSettings& listener) {
    listener.place = reader.place_text(table.place);
    reader.read_rows(table, "listener", {{listener::listener_rows(), &listener}}, {"tls"});
    if (const TomlNode* tls = reader.find_table(table, "listener", "tls")) {
        reader.read_rows(*tls, "listener.tls", {{net::tls_setting_rows(), &listener.tls.emplace()}});
        check_tls(reader, *tls, *listener.tls);
    }
    if (listener.transport == Transport::unix_socket) {
        check_unix_socket(reader, table, listener);
    } else {
        check_tcp(reader, table, listener);
    }
    check_anonymous(reader, table, listener);
    check_proxy(reader, table, listener);
    check_websocket(reader, table, listener);
}

}  // namespace

void read_listeners(ConfigReader& reader, const TomlNode& root, Config& config) {
    const auto tables = reader.find_tables(root, "", "listener");
    for (const TomlNode* table : tables) {
        read_listener(reader, *table, config.listeners.emplace_back());
        check_taken(reader, *table, tables, config);
        warn_of_risks(reader, *table, config.listeners.back(), config.auth);
    }
    if (!tables.empty()) return;
    ListenerSettings& listener = config.listeners.emplace_back();
    listener.address = "127.0.0.1";
    listener.anonymous = true;
    listener.place = reader.file();
}

void read_admin(ConfigReader& reader, const TomlNode& root, Config& config) {
    const TomlNode* table = reader.find_table(root, "", "admin");
    if (table == nullptr) return;
    auto& settings = config.admin.emplace();
    reader.read_rows(*table, "admin", {{admin::admin_rows(), &settings}});
    check_address(reader, *table, "admin.address", settings.address);
    if (settings.address.empty()) {
        // Every address is something to ask for by name: this port has no password.
        reader.error(place_of(*table, "address"), "admin.address", "is empty",
                     "expected an IP address such as 127.0.0.1");
    }
    if (is_ip_address(settings.address) && !is_loopback_address(settings.address)) {
        reader.warn(place_of(*table, "address"), "admin.address",
                    "lets other machines read metrics and status without a password",
                    "expected a loopback address, or a firewall in front");
    }
}

}  // namespace sluice::app
