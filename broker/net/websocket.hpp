#pragma once
/// WebSocket, server side (RFC 6455), as a pure filter: the upgrade request, then MQTT inside binary frames.
/// Nothing of a message is kept: MQTT packets may span frames anyway [MQTT-6.0.0-2], so frames are unmasked
/// as they come.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/filter.hpp"

namespace sluice::net {

struct WebSocketLimits {
    std::size_t request_bytes_max = 8 * 1024;      ///< the whole upgrade request
    std::uint64_t frame_bytes_max = 256ULL << 20;  ///< of one data frame; MQTT's largest packet
};

/// Who may open one, and where; shared by the filters of a listener.
struct WebSocketRules {
    WebSocketLimits limits;
    std::string path;                  ///< of the request, "/mqtt"; empty: any
    std::vector<std::string> origins;  ///< normalized, as may_connect() wants them
};

/// Extensions (permessage-deflate) are not negotiated.
std::unique_ptr<Filter> make_websocket_filter(std::shared_ptr<const WebSocketRules> rules);
std::unique_ptr<Filter> make_websocket_filter();

}  // namespace sluice::net
