#pragma once
/// WebSocket, server side (RFC 6455), as a pure filter: the upgrade request, then MQTT inside binary frames.
/// Nothing of a message is kept: MQTT packets may span frames anyway [MQTT-6.0.0-2], so frames are unmasked
/// as they come.
#include <cstdint>
#include <memory>

#include "net/filter.hpp"

namespace sluice::net {

struct WebSocketLimits {
    std::size_t request_bytes_max = 8 * 1024;      ///< the whole upgrade request
    std::uint64_t frame_bytes_max = 256ULL << 20;  ///< of one data frame; MQTT's largest packet
};

std::unique_ptr<Filter> make_websocket_filter(const WebSocketLimits& limits = {});

}  // namespace sluice::net
