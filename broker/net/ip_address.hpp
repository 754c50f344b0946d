#pragma once
/// IP addresses as values: who a peer is, whom a listener takes, and what connections are counted by. Pure.
#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::net {

/// Sixteen bytes for both families; IPv4 as ::ffff:a.b.c.d. Scopes of link-local addresses are not part of
/// it.
struct IpAddress {
    std::array<std::uint8_t, 16> bytes{};

    bool is_v4() const;
    bool is_loopback() const;
    /// 0.0.0.0 or ::
    bool is_any() const;
    auto operator<=>(const IpAddress&) const = default;
};

IpAddress ip_v4(const std::uint8_t* four_bytes);
IpAddress ip_v6(const std::uint8_t* sixteen_bytes);
/// Without brackets, port or scope.
std::optional<IpAddress> parse_ip(std::string_view text);
/// What connections are counted by: an IPv4 address; of IPv6 the first 64 bits, for a single host has all the
/// others. Of a link-local address (fe80::/10) all bits: every host of a network has the first ones alike.
IpAddress counted_as(const IpAddress& address);

std::string text_of(const IpAddress& address);
/// "192.0.2.7:51234", "[2001:db8::1]:51234"
std::string text_of(const IpAddress& address, std::uint16_t port);

/// An address (all bits count) or a network.
struct IpNetwork {
    IpAddress base;
    unsigned bits = 128;  ///< of the sixteen bytes, from the front
    bool contains(const IpAddress& address) const;
};
/// "192.0.2.7", "10.0.0.0/8", "2001:db8::/32"; bits behind the prefix are ignored.
std::optional<IpNetwork> parse_network(std::string_view text);

/// Of a socket address; none for a Unix socket.
std::optional<IpAddress> ip_of(const sockaddr_storage& address);
/// As text_of() with its port, a scope included ("[fe80::1%eth0]:51234"); "unix" for a Unix socket.
std::string endpoint_text(const sockaddr_storage& address);

}  // namespace sluice::net
