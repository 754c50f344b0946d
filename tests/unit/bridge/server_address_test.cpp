#include "bridge/server_address.hpp"

#include <gtest/gtest.h>

namespace sluice::bridge {
namespace {

std::string parsed(std::string_view text) {
    const auto address = parse_server_address(text, 9092);
    return address ? to_text(*address) : "error " + address.error();
}

TEST(ServerAddress, takes_names_and_addresses_with_and_without_port) {
    EXPECT_EQ(parsed("kafka1"), "kafka1:9092");
    EXPECT_EQ(parsed("kafka1:1"), "kafka1:1");
    EXPECT_EQ(parsed("10.0.0.1:65535"), "10.0.0.1:65535");
    EXPECT_EQ(parsed("[::1]"), "[::1]:9092");
    EXPECT_EQ(parsed("[fe80::1]:5672"), "[fe80::1]:5672");
}

TEST(ServerAddress, refuses_with_problem_and_expectation) {
    for (const char* bad : {"", ":9092", "a:", "a:0", "a:65536", "a:b", "a:1x", "::1", "[::1", "[::1]9",
                            "a b:1", "tcp://a:1", "a,b:1", "u@a:1"}) {
        const auto text = parsed(bad);
        EXPECT_EQ(text.substr(0, 5), "error") << bad;
        EXPECT_NE(text.find("expected"), std::string::npos) << text;
    }
}

}  // namespace
}  // namespace sluice::bridge
