#include "bridge/amqp/complaint.hpp"

#include <fmt/format.h>

#include <charconv>
#include <string>

namespace sluice::bridge::amqp {
namespace {

constexpr std::string_view cut_mark = "...";

/// Whether `text` begins with `phrase`, as far as it was not cut.
bool begins_with(std::string_view text, std::string_view phrase) {
    if (text.starts_with(phrase)) return true;
    if (!text.ends_with(cut_mark)) return false;
    text.remove_suffix(cut_mark.size());
    return phrase.starts_with(text);
}

}  // namespace

Named named_of(std::string_view text, std::string_view exchange, std::string_view routing_key) {
    constexpr std::string_view of_key = "access to topic '", of_exchange = "exchange '";
    if (exchange.empty()) exchange = "amq.default";  // as permissions call it
    if (const auto at = text.find(of_key); at != std::string_view::npos) {
        const auto phrase = fmt::format("{}{}' in exchange '{}' in vhost '", of_key, routing_key, exchange);
        return begins_with(text.substr(at), phrase) ? Named::key : Named::nothing;
    }
    const auto at = text.find(of_exchange);
    if (at == std::string_view::npos) return Named::nothing;
    const auto phrase = fmt::format("{}{}' in vhost '", of_exchange, exchange);
    return begins_with(text.substr(at), phrase) ? Named::exchange : Named::nothing;
}

bool is_about_a_message(std::uint16_t code) {
    switch (code) {
        case 311:  // content too large
        case 312:  // no route
        case 313:  // no consumers
        case 403:  // access refused
        case 404:  // not found
        case 405:  // resource locked
        case 406:  // precondition failed
        case 501:  // frame error
        case 502:  // syntax error
        case 503:  // command invalid
        case 505:  // unexpected frame
        case 530:  // not allowed
        case 540:  // not implemented
            return true;
        default:
            return false;
    }
}

std::optional<std::uint64_t> size_limit_of(std::string_view text) {
    constexpr std::string_view mark = "max size ";
    const auto at = text.find(mark);
    if (text.find("message size") == std::string_view::npos || at == std::string_view::npos)
        return std::nullopt;
    std::uint64_t limit = 0;
    const char* begin = text.data() + at + mark.size();
    if (std::from_chars(begin, text.data() + text.size(), limit).ec != std::errc{}) return std::nullopt;
    return limit;
}

}  // namespace sluice::bridge::amqp
