#include "net/websocket_upgrade.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "net/tls_compat.hpp"
#include "net/websocket_origin.hpp"

namespace sluice::net::websocket {
namespace {

constexpr std::string_view guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
    const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

/// Calls `use` with each element of a comma-separated list.
template <class Use>
void for_each_element(std::string_view list, Use use) {
    while (!list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        if (const auto element = trimmed(list.substr(0, comma)); !element.empty()) use(element);
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
}

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return c > 0x20 && c < 0x7f &&
               std::string_view("()<>@,;:\\\"/[]?={}").find(c) == std::string_view::npos;
    });
}

/// What the upgrade needs of the request.
struct Request {
    bool upgrade = false, connection = false;
    bool mqtt = false, mqtt_v31 = false, any_protocol = false;
    bool body = false;
    std::string_view version, key, host, origin;
    int versions = 0, keys = 0, hosts = 0, origins = 0;
};

void note_header(std::string_view name, std::string_view value, Request& request) {
    if (equal_ignoring_case(name, "Host")) {
        request.host = value;
        ++request.hosts;
    } else if (equal_ignoring_case(name, "Origin")) {
        request.origin = value;
        ++request.origins;
    } else if (equal_ignoring_case(name, "Upgrade")) {
        for_each_element(value, [&](auto e) { request.upgrade |= equal_ignoring_case(e, "websocket"); });
    } else if (equal_ignoring_case(name, "Connection")) {
        for_each_element(value, [&](auto e) { request.connection |= equal_ignoring_case(e, "upgrade"); });
    } else if (equal_ignoring_case(name, "Sec-WebSocket-Version")) {
        request.version = value;
        ++request.versions;
    } else if (equal_ignoring_case(name, "Sec-WebSocket-Key")) {
        request.key = value;
        ++request.keys;
    } else if (equal_ignoring_case(name, "Transfer-Encoding")) {
        request.body = true;
    } else if (equal_ignoring_case(name, "Content-Length")) {
        request.body |= value != "0";
    } else if (equal_ignoring_case(name, "Sec-WebSocket-Protocol")) {
        for_each_element(value, [&](auto e) {
            request.any_protocol = true;
            request.mqtt |= e == "mqtt";
            request.mqtt_v31 |= e == "mqttv3.1";
        });
    }
}

/// False when a line is not a header.
bool parse_headers(std::string_view lines, Request& request) {
    while (!lines.empty()) {
        const std::size_t end = lines.find("\r\n");
        if (end == std::string_view::npos) return false;
        const std::string_view line = lines.substr(0, end);
        lines.remove_prefix(end + 2);
        if (line.empty()) return lines.empty();
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return false;
        const std::string_view value = trimmed(line.substr(colon + 1));
        if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) return false;
        note_header(line.substr(0, colon), value, request);
    }
    return false;
}

bool is_key(std::string_view key) {
    std::array<unsigned char, 32> nonce{};
    std::size_t bytes = 0;
    return key.size() == 24 &&
           mbedtls_base64_decode(nonce.data(), nonce.size(), &bytes,
                                 reinterpret_cast<const unsigned char*>(key.data()), key.size()) == 0 &&
           bytes == 16;
}

}  // namespace

std::string accept_key(std::string_view key) {
    const std::string text = std::string(key) + std::string(guid);
    const auto digest = tls::sha1(as_bytes(text));
    std::array<unsigned char, 32> base64{};
    std::size_t bytes = 0;
    (void)mbedtls_base64_encode(base64.data(), base64.size(), &bytes, digest.data(), digest.size());
    return std::string(as_text({base64.data(), bytes}));
}

UpgradeAnswer refuse_upgrade(std::string_view status, std::string fault, std::string_view extra_header) {
    const std::string page = fault + "\n";
    // A sender of Upgrade names it in Connection too (RFC 7230, 6.7).
    const std::string_view upgrade = status.starts_with("426") ? "Upgrade, " : "";
    return {fmt::format("HTTP/1.1 {}\r\nConnection: {}close\r\nContent-Type: text/plain\r\nContent-Length: "
                        "{}\r\n{}\r\n{}",
                        status, upgrade, page.size(), extra_header, page),
            "WebSocket: " + fault};
}

namespace {

constexpr std::string_view bad = "400 Bad Request";
constexpr std::string_view upgrade_headers = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";

UpgradeAnswer refuse_origin(std::string_view origin) {
    auto answer = refuse_upgrade("403 Forbidden", "pages of this origin may not connect");
    std::string shown(origin.substr(0, 200));
    for (char& c : shown) {
        if (c < 0x20 || c > 0x7e) c = '?';
    }
    answer.fault = fmt::format("WebSocket: pages of origin '{}' may not connect (listener.origins)", shown);
    return answer;
}

std::optional<UpgradeAnswer> judge_request(const Request& request, std::string_view path,
                                           const WebSocketRules& rules) {
    if (request.hosts != 1)
        return refuse_upgrade(bad,
                              request.hosts == 0 ? "the request has no Host" : "the request has two Hosts");
    if (!rules.path.empty() && path != rules.path)
        return refuse_upgrade("404 Not Found", "there is nothing at this path");
    if (!request.upgrade || !request.connection)
        return refuse_upgrade("426 Upgrade Required", "this port speaks MQTT over WebSocket, not plain HTTP",
                              upgrade_headers);
    // It would be read as frames, and what a proxy in front takes for a body is the frames of somebody.
    if (request.body) return refuse_upgrade(bad, "the request has a body");
    if (request.versions != 1 || request.version != "13")
        return refuse_upgrade("426 Upgrade Required", "WebSocket version 13 is needed", upgrade_headers);
    // What is no browser sends none, and could send any.
    if (request.origins > 1) return refuse_upgrade(bad, "the request has two Origins");
    if (request.origins == 1 && !may_connect(request.origin, request.host, rules.origins))
        return refuse_origin(request.origin);
    if (request.keys != 1 || !is_key(request.key))
        return refuse_upgrade(bad, "the Sec-WebSocket-Key is not valid");
    // [MQTT-6.0.0-3]
    if (!request.mqtt && !request.mqtt_v31)
        return refuse_upgrade(bad, request.any_protocol ? "none of the offered subprotocols is mqtt"
                                                        : "the client must offer the subprotocol mqtt");
    return std::nullopt;
}

}  // namespace

UpgradeAnswer answer_upgrade(std::string_view request_text, const WebSocketRules& rules) {
    const std::size_t line_end = request_text.find("\r\n");
    if (line_end == std::string_view::npos) return refuse_upgrade(bad, "the request is not HTTP");
    const std::string_view line = request_text.substr(0, line_end);
    const std::size_t target = line.find(' ');
    const std::size_t protocol = line.rfind(' ');
    if (target == std::string_view::npos || protocol <= target + 1 || line.substr(protocol + 1, 5) != "HTTP/")
        return refuse_upgrade(bad, "the request is not HTTP");
    if (line.substr(0, target) != "GET")
        return refuse_upgrade("405 Method Not Allowed", "only GET begins a WebSocket", "Allow: GET\r\n");
    if (line.substr(protocol + 1) != "HTTP/1.1") return refuse_upgrade(bad, "HTTP/1.1 is needed");
    const std::string_view resource = line.substr(target + 1, protocol - target - 1);

    Request request;
    if (!parse_headers(request_text.substr(line_end + 2), request))
        return refuse_upgrade(bad, "a header of the request is malformed");
    if (auto refusal = judge_request(request, resource.substr(0, resource.find('?')), rules))
        return std::move(*refusal);
    // [MQTT-6.0.0-4]; "mqttv3.1" is what old clients call it.
    return {fmt::format("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
                        accept_key(request.key), request.mqtt ? "mqtt" : "mqttv3.1"),
            std::nullopt};
}

}  // namespace sluice::net::websocket
