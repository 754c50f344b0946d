#pragma once
/// What the tests of WebSockets share: the request of the specification, frames of a client, a filter that
/// remembers.
#include <optional>
#include <string>

#include "net/websocket.hpp"
#include "tests/unit/net/tls_support.hpp"

namespace sluice::net::test {

using namespace std::string_literals;

// RFC 6455, section 1.2 and 1.3, with MQTT's subprotocol.
inline const std::string request =
    "GET /mqtt HTTP/1.1\r\nHost: server.localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://server.localhost\r\n"
    "Sec-WebSocket-Protocol: chat, mqtt\r\nSec-WebSocket-Version: 13\r\n\r\n";
inline const std::string accepted =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

inline std::string with(const std::string& from, const std::string& to) {
    std::string changed = request;
    changed.replace(changed.find(from), from.size(), to);
    return changed;
}

/// A filter and what it said.
struct Session {
    std::unique_ptr<Filter> filter;
    ByteBuffer plain_bytes, reply_bytes;
    std::optional<std::string> failed;

    explicit Session(bool open = true, const WebSocketRules& rules = {})
        : filter(make_websocket_filter(std::make_shared<const WebSocketRules>(rules))) {
        if (open) get(request);
        if (open) reply_bytes.clear();
    }
    void get(const std::string& wire, std::size_t chunk = SIZE_MAX) {
        failed = feed(*filter, as_bytes(wire), plain_bytes, reply_bytes, chunk);
    }
    std::string plain() const { return std::string(as_text(plain_bytes)); }
    std::string reply() const { return std::string(as_text(reply_bytes)); }
};

inline std::string frame(int first, const std::string& payload,
                         const std::string& mask = "\x37\xfa\x21\x3d") {
    std::string out(1, static_cast<char>(first));
    ByteBuffer length;
    if (payload.size() < 126) {
        length.push_back(static_cast<std::uint8_t>(128 | payload.size()));
    } else if (payload.size() < 65536) {
        length.push_back(128 | 126);
        append_u16(length, static_cast<std::uint16_t>(payload.size()));
    } else {
        length.push_back(128 | 127);
        append_u64(length, payload.size());
    }
    out += as_text(length);
    out += mask;
    for (std::size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(payload[i] ^ mask[i & 3]);
    return out;
}
constexpr int fin_binary = 0x82, fin_ping = 0x89, fin_pong = 0x8a, fin_close = 0x88;

inline std::string closed_with(int code) {
    return "\x88\x02"s + static_cast<char>(code >> 8) + static_cast<char>(code & 255);
}

}  // namespace sluice::net::test
