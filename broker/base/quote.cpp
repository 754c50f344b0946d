#include "base/quote.hpp"

#include <cstddef>

namespace sluice::log {
namespace {

constexpr std::size_t shown_bytes_max = 100;
constexpr std::size_t utf8_bytes_max = 4;

bool continues_character(char c) {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

}  // namespace

std::string quote(std::string_view text) {
    std::size_t end = text.size();
    if (end > shown_bytes_max) {
        end = shown_bytes_max;
        // Not within a character.
        while (end > shown_bytes_max - utf8_bytes_max && continues_character(text[end])) --end;
    }
    std::string out = "'";
    out += text.substr(0, end);
    if (end == text.size()) return out + '\'';
    return out + "...' (" + std::to_string(text.size()) + " bytes)";
}

}  // namespace sluice::log
