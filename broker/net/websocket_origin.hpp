#pragma once
/// Origins of web pages (RFC 6454): which pages' scripts may open a WebSocket here. A browser lets any page
/// of the world connect to any address that it reaches, this machine's own and those of the local network
/// included, and says in the header Origin where the page came from; only the server can refuse.
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sluice::net {

/// "https://dash.example", "http://192.0.2.7:8080", "null" (a page without an origin, such as a file), "*"
/// (all); in lower case and without the scheme's own port, as browsers write it. None when it is none of
/// these.
std::optional<std::string> normalize_origin(std::string_view text);

/// `allowed`: normalized. When it is empty, a page may connect to the host that it came from itself (any
/// port; all names of the loopback are one host) and to no other, and only where that is an IP address,
/// localhost or a name of this machine: any other name may be that of a stranger's page whose name server
/// leads here after the page was loaded (DNS rebinding). `host`: the header Host. `machine`: the host name of
/// this machine; its first label, also with ".local", is its name as well.
bool may_connect(std::string_view origin, std::string_view host, std::span<const std::string> allowed,
                 std::string_view machine);
/// With the host name that the machine had at the first call. Any thread.
bool may_connect(std::string_view origin, std::string_view host, std::span<const std::string> allowed);

}  // namespace sluice::net
