#include "auth/saslprep.hpp"

#include <algorithm>
#include <cstdint>
#include <span>

#include "wire/topic.hpp"

namespace sluice::auth {
namespace {

struct Range {
    char32_t first, last;
};

/// RFC 3454 C.1.2: spaces, mapped to ' '. U+200B stands in B.1 too; RFC 4013 names this table first.
constexpr Range spaces[] = {{0x00A0, 0x00A0}, {0x1680, 0x1680}, {0x2000, 0x200B},
                            {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};

/// RFC 3454 B.1: mapped to nothing.
constexpr Range nothing[] = {{0x00AD, 0x00AD}, {0x034F, 0x034F}, {0x1806, 0x1806}, {0x180B, 0x180D},
                             {0x200C, 0x200D}, {0x2060, 0x2060}, {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}};

/// RFC 3454 C.2.1, C.2.2, C.3 to C.9, in one ascending row; surrogates (C.5) are no UTF-8.
constexpr Range prohibited[] = {{0x0000, 0x001F},      // C.2.1 control characters
                                {0x007F, 0x009F},      // C.2.1, C.2.2
                                {0x0340, 0x0341},      // C.8
                                {0x06DD, 0x06DD},      // C.2.2
                                {0x070F, 0x070F},      // C.2.2
                                {0x180E, 0x180E},      // C.2.2
                                {0x200E, 0x200F},      // C.8 changes of display
                                {0x2028, 0x202E},      // C.2.2, C.8
                                {0x2061, 0x2063},      // C.2.2
                                {0x206A, 0x206F},      // C.2.2, C.8
                                {0x2FF0, 0x2FFB},      // C.7
                                {0xE000, 0xF8FF},      // C.3 private use
                                {0xFDD0, 0xFDEF},      // C.4 non-characters
                                {0xFFF9, 0xFFFF},      // C.2.2, C.4, C.6
                                {0x1D173, 0x1D17A},    // C.2.2
                                {0x1FFFE, 0x1FFFF},    // C.4
                                {0x2FFFE, 0x2FFFF},    // C.4
                                {0x3FFFE, 0x3FFFF},    // C.4
                                {0x4FFFE, 0x4FFFF},    // C.4
                                {0x5FFFE, 0x5FFFF},    // C.4
                                {0x6FFFE, 0x6FFFF},    // C.4
                                {0x7FFFE, 0x7FFFF},    // C.4
                                {0x8FFFE, 0x8FFFF},    // C.4
                                {0x9FFFE, 0x9FFFF},    // C.4
                                {0xAFFFE, 0xAFFFF},    // C.4
                                {0xBFFFE, 0xBFFFF},    // C.4
                                {0xCFFFE, 0xCFFFF},    // C.4
                                {0xDFFFE, 0xDFFFF},    // C.4
                                {0xE0001, 0xE0001},    // C.9 tagging
                                {0xE0020, 0xE007F},    // C.9
                                {0xEFFFE, 0xEFFFF},    // C.4
                                {0xF0000, 0x10FFFF}};  // C.3, C.4

bool is_in(std::span<const Range> ranges, char32_t point) {
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const Range& range) { return range.first <= point && point <= range.last; });
}

/// The code point at the front, of text that is known to be UTF-8, and the bytes it takes.
char32_t decode_point(std::string_view text, std::size_t& bytes) {
    const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
    const std::uint8_t lead = byte(0);
    bytes = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    static constexpr std::uint8_t lead_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    char32_t point = lead & lead_bits[bytes];
    for (std::size_t i = 1; i < bytes; ++i) point = point << 6 | (byte(i) & 0x3FU);
    return point;
}

}  // namespace

std::optional<std::string> saslprep(std::string_view text) {
    if (!wire::is_mqtt_utf8(text)) return std::nullopt;
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        std::size_t bytes = 0;
        const char32_t point = decode_point(text, bytes);
        if (is_in(prohibited, point)) return std::nullopt;
        if (is_in(spaces, point)) {
            out.push_back(' ');
        } else if (!is_in(nothing, point)) {
            out.append(text.substr(0, bytes));
        }
        text.remove_prefix(bytes);
    }
    return out;
}

}  // namespace sluice::auth
