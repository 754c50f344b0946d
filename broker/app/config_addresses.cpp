#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

#include "app/config_sections.hpp"

namespace sluice::app {
namespace {

/// Sixteen bytes for both families, IPv4 as ::ffff:a.b.c.d.
std::optional<in6_addr> parse_address(const std::string& text) {
    in6_addr v6{};
    if (::inet_pton(AF_INET6, text.c_str(), &v6) == 1) return v6;
    in_addr v4{};
    if (::inet_pton(AF_INET, text.c_str(), &v4) != 1) return {};
    v6.s6_addr[10] = v6.s6_addr[11] = 0xff;
    std::memcpy(&v6.s6_addr[12], &v4, 4);
    return v6;
}

bool is_any(const in6_addr& address) {
    return IN6_IS_ADDR_UNSPECIFIED(&address) ||
           (IN6_IS_ADDR_V4MAPPED(&address) && std::memcmp(&address.s6_addr[12], "\0\0\0\0", 4) == 0);
}

}  // namespace

bool is_ip_address(const std::string& text) {
    return parse_address(text).has_value();
}

bool is_loopback_address(const std::string& text) {
    const auto address = parse_address(text);
    if (!address) return false;
    if (IN6_IS_ADDR_V4MAPPED(&*address)) return address->s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&*address);
}

bool addresses_overlap(const std::string& a, const std::string& b) {
    const auto first = parse_address(a.empty() ? "::" : a);
    const auto second = parse_address(b.empty() ? "::" : b);
    if (!first || !second) return false;
    if (a.empty() || b.empty()) return true;
    if (std::memcmp(&*first, &*second, sizeof *first) == 0) return true;
    const bool same_family = bool(IN6_IS_ADDR_V4MAPPED(&*first)) == bool(IN6_IS_ADDR_V4MAPPED(&*second));
    return same_family && (is_any(*first) || is_any(*second));
}

}  // namespace sluice::app
