#include <cstring>

#include "base/bytes.hpp"
#include "wire/topic.hpp"

namespace sluice::wire {
namespace {

/// The length of the well-formed sequence at `p` that is not ASCII; 0 when it is not well formed. Bounds of
/// the second byte as in table 3-7 of the Unicode standard: they shut out overlong forms, surrogates and
/// what is above U+10FFFF.
std::size_t sequence_bytes(const std::uint8_t* p, std::size_t available) {
    const std::uint8_t lead = p[0];
    std::size_t size = 0;
    std::uint8_t low = 0x80, high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
        size = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        size = 3;
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;  // [MQTT-1.5.4-1]
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        size = 4;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
    } else {
        return 0;
    }
    if (available < size || p[1] < low || p[1] > high) return 0;
    for (std::size_t i = 2; i < size; ++i) {
        if ((p[i] & 0xC0) != 0x80) return 0;
    }
    return size;
}

/// Eight bytes that are all ASCII and none of them U+0000.
bool is_plain_word(const std::uint8_t* p) {
    constexpr std::uint64_t highs = 0x8080808080808080ULL, ones = 0x0101010101010101ULL;
    std::uint64_t word = 0;
    std::memcpy(&word, p, sizeof word);
    return ((word | (word - ones)) & highs) == 0;
}

bool is_well_formed(std::string_view text, bool may_have_null) {
    const std::uint8_t* p = as_bytes(text).data();
    std::size_t left = text.size();
    while (left != 0) {
        std::size_t size = 1;
        if (left >= 8 && is_plain_word(p)) {
            size = 8;
        } else if (*p == 0) {
            if (!may_have_null) return false;
        } else if (*p >= 0x80) {
            size = sequence_bytes(p, left);  // a byte order mark is text like any other [MQTT-1.5.4-3]
            if (size == 0) return false;
        }
        p += size;
        left -= size;
    }
    return true;
}

}  // namespace

bool is_mqtt_utf8(std::string_view text) {
    return is_well_formed(text, false);  // [MQTT-1.5.4-2]
}

bool is_utf8(std::string_view text) {
    return is_well_formed(text, true);
}

}  // namespace sluice::wire
