#include "bridge/server_address.hpp"

#include <fmt/format.h>

#include <charconv>

namespace sluice::bridge {

Result<ServerAddress, std::string> parse_server_address(std::string_view text, std::uint16_t default_port) {
    const auto fail = [&](std::string_view what) {
        return Err{fmt::format("'{}': {}; expected \"host:port\"", text, what)};
    };
    std::string_view host = text, port;
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) return fail("'[' without ']'");
        host = text.substr(1, close - 1);
        port = text.substr(close + 1);
    } else if (const auto colon = text.rfind(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        port = text.substr(colon);
        if (host.find(':') != std::string_view::npos) return fail("an IPv6 address needs brackets");
    }
    if (host.empty()) return fail("the host is missing");
    if (host.find_first_of(" \t/@,[]") != std::string_view::npos) return fail("that is no host name");
    ServerAddress address{std::string(host), default_port};
    if (!port.empty()) {
        if (port.front() != ':') return fail("unexpected text behind the host");
        port.remove_prefix(1);
        const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
        if (error != std::errc{} || end != port.data() + port.size() || address.port == 0)
            return fail("the port must be a number from 1 to 65535");
    }
    return address;
}

std::string to_text(const ServerAddress& address) {
    const bool v6 = address.host.find(':') != std::string::npos;
    return v6 ? fmt::format("[{}]:{}", address.host, address.port)
              : fmt::format("{}:{}", address.host, address.port);
}

}  // namespace sluice::bridge
