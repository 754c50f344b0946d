#include "app/config_sections.hpp"
#include "net/ip_address.hpp"

namespace sluice::app {
namespace {

/// A scope ("%eth0") says through which network a link-local address is meant; it is not part of the address.
std::optional<net::IpAddress> parse_address(const std::string& text) {
    const std::size_t scope = text.find('%');
    const auto address = net::parse_ip(std::string_view(text).substr(0, scope));
    if (scope == std::string::npos) return address;
    const bool may_have_scope = address && address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
    return may_have_scope && scope + 1 < text.size() ? address : std::nullopt;
}

}  // namespace

bool is_ip_address(const std::string& text) {
    return parse_address(text).has_value();
}

bool is_loopback_address(const std::string& text) {
    const auto address = parse_address(text);
    return address && address->is_loopback();
}

bool addresses_overlap(const std::string& a, const std::string& b) {
    const auto first = parse_address(a.empty() ? "::" : a);
    const auto second = parse_address(b.empty() ? "::" : b);
    if (!first || !second) return false;
    if (a.empty() || b.empty() || *first == *second) return true;
    return first->is_v4() == second->is_v4() && (first->is_any() || second->is_any());
}

}  // namespace sluice::app
