#include "auth/saslprep.hpp"

#include <gtest/gtest.h>

namespace sluice::auth {
namespace {

// RFC 4013 3, as far as it needs no normalization.
TEST(Saslprep, TheExamplesOfRfc4013) {
    EXPECT_EQ(saslprep("I\xc2\xadX"), "IX");
    EXPECT_EQ(saslprep("user"), "user");
    EXPECT_EQ(saslprep("USER"), "USER");
    EXPECT_EQ(saslprep("\x07"), std::nullopt);
}

TEST(Saslprep, MapsSpacesAndDropsWhatIsNothing) {
    EXPECT_EQ(saslprep("a\xc2\xa0\xe2\x80\x8b\xe3\x80\x80z"), "a   z");   // U+00A0, U+200B, U+3000
    EXPECT_EQ(saslprep("a\xe2\x80\x8d\xef\xbb\xbf\xef\xb8\x8f!"), "a!");  // U+200D, U+FEFF, U+FE0F
    EXPECT_EQ(saslprep(" \xc3\xa4 \xf0\x9f\x98\x80"), " \xc3\xa4 \xf0\x9f\x98\x80");
    EXPECT_EQ(saslprep(""), "");
    EXPECT_EQ(saslprep("\xc2\xad"), "");
}

TEST(Saslprep, RefusesWhatIsProhibited) {
    for (const std::string bad : {
             "\x01", "\x1f", "\x7f", "a\tb", "\xc2\x80", "\xc2\x9f",  // control characters
             "\xe2\x80\x8e", "\xe2\x80\xae", "\xe2\x80\xa8",          // U+200E, U+202E, U+2028
             "\xee\x80\x80", "\xf3\xb0\x80\x80", "\xf4\x8f\xbf\xbd",  // private use
             "\xef\xbf\xbd", "\xef\xb7\x90", "\xf0\x9f\xbf\xbe",      // U+FFFD, U+FDD0, U+1FFFE
             "\xe2\xbf\xb0", "\xf3\xa0\x80\x81",                      // U+2FF0, U+E0001
         })
        EXPECT_EQ(saslprep("a" + bad + "z"), std::nullopt) << bad;
    EXPECT_EQ(saslprep(std::string_view("a\0b", 3)), std::nullopt);
    EXPECT_EQ(saslprep("\xff"), std::nullopt);
    EXPECT_EQ(saslprep("\xed\xa0\x80"), std::nullopt) << "a surrogate";
}

}  // namespace
}  // namespace sluice::auth
