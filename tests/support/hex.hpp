#pragma once
/// Bytes as tests write them down: hex digits with spaces where they help, text in single quotes.
/// "10 0d 0004 'MQTT' 04 02 003c 0001 'c'"
#include <string_view>

#include "base/bytes.hpp"
#include "base/check.hpp"

namespace sluice::test {

inline unsigned hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    CHECK(c >= 'a' && c <= 'f');
    return static_cast<unsigned>(c - 'a') + 10;
}

inline ByteBuffer hex(std::string_view text) {
    ByteBuffer out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == ' ') continue;
        if (text[i] == '\'') {
            const std::size_t end = text.find('\'', i + 1);
            CHECK(end != text.npos);
            append(out, as_bytes(text.substr(i + 1, end - i - 1)));
            i = end;
            continue;
        }
        CHECK(i + 1 < text.size());
        out.push_back(static_cast<std::uint8_t>(hex_digit(text[i]) << 4 | hex_digit(text[i + 1])));
        ++i;
    }
    return out;
}

}  // namespace sluice::test
