#pragma once
/// "host:port" as the `servers` keys take it.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace sluice::bridge {

struct ServerAddress {
    std::string host;  ///< a name or an address; an IPv6 address without its brackets
    std::uint16_t port = 0;
};

/// "host", "host:port", "[v6]:port". The error says what is wrong and what was expected.
Result<ServerAddress, std::string> parse_server_address(std::string_view text, std::uint16_t default_port);

/// The form that log lines and client libraries take.
std::string to_text(const ServerAddress& address);

}  // namespace sluice::bridge
