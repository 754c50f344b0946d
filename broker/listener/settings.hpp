#pragma once
/// `[[listener]]`: where clients come in.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/settings.hpp"
#include "net/tls.hpp"

namespace sluice::listener {

enum class Transport : std::uint8_t { tcp, websocket, unix_socket };
/// There is no "optional": a client that came in directly could then claim any address.
enum class ProxyProtocol : std::uint8_t { none, required };

struct ListenerSettings {
    std::string address;  ///< IP address; empty: every address of the machine. Not used by "unix"
    std::uint16_t port = 1883;
    std::string path;           ///< of the socket, transport "unix"
    std::string mode = "0660";  ///< permissions of the socket, octal, transport "unix"
    Transport transport = Transport::tcp;
    bool anonymous = false;  ///< clients without user name and password are let in
    bool insecure = false;   ///< allows `anonymous` beyond loopback
    ProxyProtocol proxy_protocol = ProxyProtocol::none;
    std::vector<std::string> proxy_from;  ///< addresses and networks of the proxies; empty: any
    std::vector<std::string> origins;     ///< web pages that may connect, transport "websocket"
    std::string websocket_path;           ///< of the upgrade request; empty: any
    std::optional<net::TlsSettings> tls;
    std::string place;  ///< "sluice.toml:12", for messages; set by the loader
    /// For reload: `place` counts too.
    bool operator==(const ListenerSettings&) const = default;
};
std::span<const SettingRow> listener_rows();
/// Octal digits as for chmod, "660" or "0660"; none when it is something else.
std::optional<unsigned> parse_mode(std::string_view text);

}  // namespace sluice::listener
