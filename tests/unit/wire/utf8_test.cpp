#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>

#include "wire/topic.hpp"

namespace sluice::wire {
namespace {

std::string encode(std::uint32_t c, int bytes) {
    const auto tail = [c](int shift) { return static_cast<char>(0x80 | (c >> shift & 0x3F)); };
    switch (bytes) {
        case 1:
            return {static_cast<char>(c)};
        case 2:
            return {static_cast<char>(0xC0 | c >> 6), tail(0)};
        case 3:
            return {static_cast<char>(0xE0 | c >> 12), tail(6), tail(0)};
        default:
            return {static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0)};
    }
}
int shortest(std::uint32_t c) {
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

TEST(Utf8, TakesEveryCharacterButNulAndSurrogates_MQTT_1_5_4_1_and_2) {
    for (std::uint32_t c = 0; c < 0x140000; ++c) {
        const bool good = c != 0 && (c < 0xD800 || c > 0xDFFF) && c <= 0x10FFFF;
        if (is_mqtt_utf8(encode(c, shortest(c))) != good) ADD_FAILURE() << std::hex << c;
    }
}

TEST(Utf8, RefusesOverlongForms) {
    for (std::uint32_t c = 0; c < 0x10000; ++c) {
        for (int bytes = shortest(c) + 1; bytes <= 4; ++bytes) {
            if (is_mqtt_utf8(encode(c, bytes))) ADD_FAILURE() << std::hex << c << " in " << bytes;
        }
    }
}

TEST(Utf8, APayloadMayHoldNullButNothingElseThatIsIllFormed) {
    EXPECT_TRUE(is_utf8(std::string("a\0b", 3)));
    EXPECT_TRUE(is_utf8(""));
    EXPECT_FALSE(is_utf8("\xff"));
    EXPECT_FALSE(is_utf8("\xed\xa0\x80"));
}

TEST(Utf8, KeepsTheByteOrderMark_MQTT_1_5_4_3) {
    EXPECT_TRUE(is_mqtt_utf8("\xEF\xBB\xBF"));
    EXPECT_TRUE(is_mqtt_utf8("a\xEF\xBB\xBF"));
}

// The fast path looks at eight bytes at once: a bad byte must be found in every place of a text.
TEST(Utf8, FindsABadByteInAnyPlace) {
    for (std::size_t size = 1; size < 40; ++size) {
        std::string text(size, 'a');
        EXPECT_TRUE(is_mqtt_utf8(text));
        for (char& c : text) {
            for (const char bad : {'\0', '\x80', '\xff', '\xc3'}) {
                c = bad;
                EXPECT_FALSE(is_mqtt_utf8(text)) << size;
            }
            c = 'a';
        }
    }
    EXPECT_TRUE(is_mqtt_utf8(""));
}

TEST(Utf8, TakesRandomTextsOfGoodCharacters) {
    std::mt19937 random(1);
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (unsigned i = random() % 30; i != 0; --i) {
            std::uint32_t c = 1 + random() % (1U << (1 + random() % 20));
            if (c >= 0xD800 && c <= 0xDFFF) c = 'x';
            text += encode(c, shortest(c));
        }
        EXPECT_TRUE(is_mqtt_utf8(text));
        if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0x80) {
            text.pop_back();
            EXPECT_FALSE(is_mqtt_utf8(text));
        }
    }
}

}  // namespace
}  // namespace sluice::wire
