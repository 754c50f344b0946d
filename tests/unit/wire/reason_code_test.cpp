#include "wire/reason_code.hpp"

#include <gtest/gtest.h>

namespace sluice::wire {
namespace {

TEST(ReasonCode, HasTheNamesOfTheSpecification) {
    EXPECT_EQ(name_of(ReasonCode::success), "success");
    EXPECT_EQ(name_of(ReasonCode::packet_too_large), "packet too large");
    EXPECT_EQ(name_of(ReasonCode::malformed_packet), "malformed packet");
    EXPECT_EQ(name_of(ReasonCode::wildcard_subscriptions_not_supported),
              "wildcard subscriptions not supported");
    EXPECT_EQ(name_of(static_cast<ReasonCode>(0xFF)), "unknown reason code");
}

// Table 2-6: 00 to 02, 04, 10, 11, 18, 19, and 80 to A2 without a gap.
TEST(ReasonCode, HasANameForEveryCodeAndNoOther) {
    int named = 0;
    for (int code = 0; code < 256; ++code) {
        const bool known = name_of(static_cast<ReasonCode>(code)) != "unknown reason code";
        named += known;
        EXPECT_TRUE(known || code < 0x80 || code > 0xA2) << code;
    }
    EXPECT_EQ(named, 8 + 35);
}

TEST(ReasonCode, IsAnErrorFrom80Up) {
    EXPECT_FALSE(is_error(ReasonCode::reauthenticate));
    EXPECT_TRUE(is_error(ReasonCode::unspecified_error));
}

}  // namespace
}  // namespace sluice::wire
