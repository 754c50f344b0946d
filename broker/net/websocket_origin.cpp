#include "net/websocket_origin.hpp"

#include <unistd.h>

#include <algorithm>

#include "net/ip_address.hpp"

namespace sluice::net {
namespace {

std::string lower_case(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    return out;
}

bool is_digits(std::string_view text) {
    return !text.empty() && text.size() <= 5 &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// "host:port", "[::1]:port", either without port.
struct Authority {
    std::string_view host;  ///< with its brackets
    std::string_view port;  ///< empty: none
};

std::optional<Authority> parse_authority(std::string_view text) {
    Authority out;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos || !parse_ip(text.substr(1, end - 1))) return {};
        out.host = text.substr(0, end + 1);
    } else {
        out.host = text.substr(0, text.find(':'));
    }
    const bool legal = std::all_of(out.host.begin(), out.host.end(), [](char c) {
        return c > 0x20 && c < 0x7f && std::string_view("/?#@\\\"<>^`{|}%").find(c) == std::string_view::npos;
    });
    if (out.host.empty() || !legal) return {};
    const std::string_view rest = text.substr(out.host.size());
    if (rest.empty()) return out;
    if (rest.front() != ':' || !is_digits(rest.substr(1))) return {};
    out.port = rest.substr(1);
    return out;
}

std::optional<IpAddress> parse_host_ip(std::string_view host) {
    if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
    return parse_ip(host);
}

bool is_localhost(std::string_view host) {
    return host == "localhost" || host.ends_with(".localhost");
}

bool is_loopback_name(std::string_view host) {
    if (is_localhost(host)) return true;
    const auto ip = parse_host_ip(host);
    return ip && ip->is_loopback();
}

/// Whether no stranger can make this name lead here.
bool is_name_of(std::string_view machine, std::string_view host) {
    if (is_localhost(host) || parse_host_ip(host)) return true;
    const std::string name = lower_case(machine);
    const std::string label = name.substr(0, name.find('.'));
    return !label.empty() && (host == name || host == label || host == label + ".local");
}

std::string read_machine_name() {
    char name[256] = {};
    return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

}  // namespace

std::optional<std::string> normalize_origin(std::string_view text) {
    const std::string lower = lower_case(text);
    if (lower == "null" || lower == "*") return lower;
    const std::size_t slashes = lower.find("://");
    if (slashes == 0 || slashes == std::string::npos) return {};
    const std::string scheme = lower.substr(0, slashes);
    const bool legal_scheme = std::all_of(scheme.begin(), scheme.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    });
    const auto authority = parse_authority(std::string_view(lower).substr(slashes + 3));
    if (!legal_scheme || !authority) return {};
    const bool own_port = (scheme == "http" && authority->port == "80") ||
                          (scheme == "https" && authority->port == "443") || authority->port.empty();
    std::string out = scheme + "://" + std::string(authority->host);
    return own_port ? out : out + ":" + std::string(authority->port);
}

bool may_connect(std::string_view origin, std::string_view host, std::span<const std::string> allowed) {
    static const std::string machine = read_machine_name();
    return may_connect(origin, host, allowed, machine);
}

bool may_connect(std::string_view origin, std::string_view host, std::span<const std::string> allowed,
                 std::string_view machine) {
    if (std::find(allowed.begin(), allowed.end(), "*") != allowed.end()) return true;
    const auto normal = normalize_origin(origin);
    if (!normal || *normal == "*") return false;
    if (!allowed.empty()) return std::find(allowed.begin(), allowed.end(), *normal) != allowed.end();
    if (*normal == "null") return false;
    const std::string ours = lower_case(host);
    const auto page = parse_authority(std::string_view(*normal).substr(normal->find("://") + 3));
    const auto asked = parse_authority(ours);
    if (!page || !asked) return false;
    return (page->host == asked->host && is_name_of(machine, asked->host)) ||
           (is_loopback_name(page->host) && is_loopback_name(asked->host));
}

}  // namespace sluice::net
