#include "bridge/thinning.hpp"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/bridge/messages.hpp"

namespace sluice::bridge {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

MonoTime at(milliseconds time) {
    return MonoTime(std::chrono::hours(1)) + time;
}

/// Which of `count` messages of a topic pass, one every `step`: "x..x".
std::string pattern(Thinning& thinning, int count, milliseconds step, std::string_view topic = "a") {
    std::string text;
    for (int i = 0; i < count; ++i) text += thinning.passes(topic, at(i * step)) ? 'x' : '.';
    return text;
}

TEST(Thinning, without_rules_everything_passes) {
    EXPECT_FALSE(ThinningRules{}.any());
    Thinning thinning({});
    EXPECT_EQ(pattern(thinning, 5, milliseconds(0)), "xxxxx");
}

TEST(Thinning, sample_lets_the_first_of_each_group_of_a_topic_pass) {
    Thinning thinning({.sample = 3});
    EXPECT_EQ(pattern(thinning, 8, milliseconds(0)), "x..x..x.");
    EXPECT_EQ(pattern(thinning, 4, milliseconds(0), "b"), "x..x");
    EXPECT_EQ(pattern(thinning, 2, milliseconds(0)), ".x") << "the other topic was counted with it";
}

TEST(Thinning, interval_min_parts_the_messages_of_a_topic) {
    Thinning thinning({.interval_min = milliseconds(1000)});
    EXPECT_EQ(pattern(thinning, 9, milliseconds(250)), "x...x...x");
    EXPECT_TRUE(thinning.passes("b", at(milliseconds(2000))));
    EXPECT_FALSE(thinning.passes("b", at(milliseconds(2999))));
    EXPECT_TRUE(thinning.passes("b", at(milliseconds(3000))));
}

TEST(Thinning, rate_max_is_for_all_topics_and_a_seconds_worth_may_come_at_once) {
    Thinning thinning({.rate_per_s = 10});
    int passed = 0;
    for (int i = 0; i < 100; ++i) passed += thinning.passes("t" + std::to_string(i), at(milliseconds(0)));
    EXPECT_EQ(passed, 10);
    passed = 0;
    for (int i = 1; i <= 10'000; ++i) passed += thinning.passes("a", at(milliseconds(i)));
    EXPECT_GE(passed, 99);
    EXPECT_LE(passed, 100);
    EXPECT_FALSE(thinning.passes("a", at(milliseconds(9'000)))) << "time that goes back earns nothing";
}

TEST(Thinning, a_rate_of_less_than_one_lets_one_pass_at_a_time) {
    Thinning thinning({.rate_per_s = 0.25});
    EXPECT_EQ(pattern(thinning, 9, seconds(1)), "x...x...x");
}

TEST(Thinning, what_one_rule_leaves_out_does_not_count_for_the_next) {
    Thinning both({.sample = 2, .interval_min = milliseconds(1000)});
    EXPECT_EQ(pattern(both, 9, milliseconds(300)), "x...x...x");
    Thinning rate({.interval_min = milliseconds(1000), .rate_per_s = 1});
    EXPECT_TRUE(rate.passes("a", at(milliseconds(0))));
    EXPECT_FALSE(rate.passes("b", at(milliseconds(100)))) << "the rate";
    EXPECT_TRUE(rate.passes("b", at(milliseconds(1000)))) << "b had not passed: its interval had not begun";
}

TEST(Thinning, the_topic_that_was_silent_longest_is_forgotten_when_there_are_too_many) {
    Thinning thinning({.sample = 1000});
    const auto topic = [](std::size_t i) { return "t/" + std::to_string(i); };
    for (std::size_t i = 0; i < Thinning::topics_max; ++i) EXPECT_TRUE(thinning.passes(topic(i), at({})));
    EXPECT_FALSE(thinning.passes(topic(0), at({}))) << "now topic 1 is the one silent longest";
    EXPECT_TRUE(thinning.passes("one more", at({})));
    EXPECT_FALSE(thinning.passes(topic(0), at({})));
    EXPECT_FALSE(thinning.passes(topic(2), at({})));
    EXPECT_TRUE(thinning.passes(topic(1), at({}))) << "it was not forgotten";
    EXPECT_FALSE(thinning.passes("one more", at({})));
}

TEST(MakeAccepts, is_nothing_when_all_pass) {
    const auto thinned = std::make_shared<std::atomic<std::uint64_t>>(0);
    EXPECT_FALSE(make_accepts(nullptr, {}, thinned));
}

TEST(MakeAccepts, every_lane_has_a_memory_of_its_own_and_counts_what_it_leaves_out) {
    const auto thinned = std::make_shared<std::atomic<std::uint64_t>>(0);
    auto parsed = Condition::parse("payload.n > 1");
    ASSERT_TRUE(parsed.ok());
    const auto condition = std::make_shared<const Condition>(std::move(parsed).value());
    const auto one = make_accepts(condition, {.sample = 2}, thinned);
    const auto other = make_accepts(condition, {.sample = 2}, thinned);
    const auto low = test::sample(R"({"n": 1})"), high = test::sample(R"({"n": 2})");
    EXPECT_FALSE(one(*low)) << "the condition";
    EXPECT_EQ(*thinned, 0U);
    EXPECT_TRUE(one(*high));
    EXPECT_TRUE(other(*high)) << "it counted with the other lane's memory";
    EXPECT_FALSE(one(*high));
    EXPECT_EQ(*thinned, 1U);
    EXPECT_TRUE(make_accepts(condition, {}, thinned)(*high));
    EXPECT_FALSE(make_accepts(condition, {}, thinned)(*low));
}

}  // namespace
}  // namespace sluice::bridge
