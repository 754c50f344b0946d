#include "net/ip_address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace sluice::net {
namespace {

constexpr std::array<std::uint8_t, 12> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::string bracketed(const std::string& address, bool v4, std::uint16_t port) {
    return v4 ? fmt::format("{}:{}", address, port) : fmt::format("[{}]:{}", address, port);
}

}  // namespace

bool IpAddress::is_v4() const {
    return std::equal(v4_prefix.begin(), v4_prefix.end(), bytes.begin());
}

bool IpAddress::is_loopback() const {
    if (is_v4()) return bytes[12] == 127;
    static constexpr std::array<std::uint8_t, 16> one{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    return bytes == one;
}

bool IpAddress::is_any() const {
    const auto from = bytes.begin() + (is_v4() ? 12 : 0);
    return std::all_of(from, bytes.end(), [](std::uint8_t b) { return b == 0; });
}

IpAddress ip_v4(const std::uint8_t* four_bytes) {
    IpAddress address;
    std::copy(v4_prefix.begin(), v4_prefix.end(), address.bytes.begin());
    std::copy_n(four_bytes, 4, address.bytes.begin() + 12);
    return address;
}

IpAddress ip_v6(const std::uint8_t* sixteen_bytes) {
    IpAddress address;
    std::copy_n(sixteen_bytes, 16, address.bytes.begin());
    return address;
}

std::optional<IpAddress> parse_ip(std::string_view text) {
    const std::string terminated(text);
    if (terminated.find('\0') != std::string::npos) return {};
    std::array<std::uint8_t, 16> bytes{};
    if (::inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1) return ip_v6(bytes.data());
    if (::inet_pton(AF_INET, terminated.c_str(), bytes.data()) == 1) return ip_v4(bytes.data());
    return {};
}

IpAddress counted_as(const IpAddress& address) {
    IpAddress key = address;
    const bool link_local = address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
    if (!address.is_v4() && !link_local) std::fill(key.bytes.begin() + 8, key.bytes.end(), std::uint8_t{0});
    return key;
}

std::string text_of(const IpAddress& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (address.is_v4()) {
        ::inet_ntop(AF_INET, address.bytes.data() + 12, text.data(), text.size());
    } else {
        ::inet_ntop(AF_INET6, address.bytes.data(), text.data(), text.size());
    }
    return text.data();
}

std::string text_of(const IpAddress& address, std::uint16_t port) {
    return bracketed(text_of(address), address.is_v4(), port);
}

bool IpNetwork::contains(const IpAddress& address) const {
    const unsigned whole = bits / 8;
    if (!std::equal(base.bytes.begin(), base.bytes.begin() + whole, address.bytes.begin())) return false;
    const unsigned rest = bits % 8;
    return rest == 0 || ((base.bytes[whole] ^ address.bytes[whole]) >> (8 - rest)) == 0;
}

std::optional<IpNetwork> parse_network(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto base = parse_ip(text.substr(0, slash));
    if (!base) return {};
    if (slash == std::string_view::npos) return IpNetwork{*base, 128};
    const bool v4 = text.find(':') == std::string_view::npos;
    const std::string_view digits = text.substr(slash + 1);
    unsigned bits = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (error != std::errc{} || end != digits.data() + digits.size() || bits > (v4 ? 32U : 128U)) return {};
    return IpNetwork{*base, v4 ? bits + 96 : bits};
}

std::optional<IpAddress> ip_of(const sockaddr_storage& address) {
    if (address.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
        return ip_v4(reinterpret_cast<const std::uint8_t*>(&v4.sin_addr));
    }
    if (address.ss_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
        return ip_v6(v6.sin6_addr.s6_addr);
    }
    return {};
}

std::string endpoint_text(const sockaddr_storage& address) {
    const auto ip = ip_of(address);
    if (!ip) return "unix";
    // The port stands at the same place in both families.
    const std::uint16_t port = ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    if (address.ss_family == AF_INET || v6.sin6_scope_id == 0) return text_of(*ip, port);
    std::array<char, IF_NAMESIZE> name{};
    const std::string scope = ::if_indextoname(v6.sin6_scope_id, name.data()) != nullptr
                                  ? std::string(name.data())
                                  : std::to_string(v6.sin6_scope_id);
    return bracketed(text_of(*ip) + "%" + scope, false, port);
}

}  // namespace sluice::net
