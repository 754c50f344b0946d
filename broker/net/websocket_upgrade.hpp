#pragma once
/// The HTTP beginning of a WebSocket connection (RFC 6455, section 4.2).
#include <optional>
#include <string>
#include <string_view>

#include "net/websocket.hpp"

namespace sluice::net::websocket {

struct UpgradeAnswer {
    std::string response;              ///< to be sent: 101, 400, 403, 404, 405 or 426
    std::optional<std::string> fault;  ///< why it is not 101; for the log
};

/// `request`: from the request line to the empty line, both included.
UpgradeAnswer answer_upgrade(std::string_view request, const WebSocketRules& rules);
/// An error page; `fault` is for both the page and the log.
UpgradeAnswer refuse_upgrade(std::string_view status, std::string fault, std::string_view extra_header = "");
/// Sec-WebSocket-Accept of a Sec-WebSocket-Key.
std::string accept_key(std::string_view key);

}  // namespace sluice::net::websocket
