#include "wire/topic.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sluice::wire {
namespace {

struct MatchCase {
    const char* filter;
    const char* topic;
    bool matches;
};

// The examples of section 4.7, and the corners around them.
TEST(FilterMatches, TheExamplesOfTheSpecification) {
    const MatchCase cases[] = {
        {"sport/tennis/player1/#", "sport/tennis/player1", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
        {"sport/tennis/player1/#", "sport/tennis/player12", false},
        {"sport/#", "sport", true},
        {"sport/#", "sports", false},
        {"#", "a", true},
        {"#", "/", true},
        {"#", "a/b/c", true},
        {"sport/tennis/+", "sport/tennis/player1", true},
        {"sport/tennis/+", "sport/tennis/player1/ranking", false},
        {"sport/+", "sport", false},
        {"sport/+", "sport/", true},
        {"+", "a", true},
        {"+", "a/b", false},
        {"+/tennis/#", "sport/tennis", true},
        {"+/tennis/#", "sport/tennis/x/y", true},
        {"sport/+/player1", "sport/tennis/player1", true},
        {"sport/+/player1", "sport//player1", true},
        {"sport/+/player1", "sport/a/b/player1", false},
        {"/finance", "/finance", true},
        {"+/+", "/finance", true},
        {"/+", "/finance", true},
        {"+", "/finance", false},
        {"ACCOUNTS", "Accounts", false},
        {"a", "a/", false},
        {"a/", "a", false},
        {"a/b", "a/b", true},
        {"a/b", "a/bc", false},
        {"a/bc", "a/b", false},
        {"a//#", "a/", true},
        {"a//#", "a", false},
        {"/#", "/", true},
        {"/#", "a", false},
        {"+/#", "a", true},
        {"+/#", "/a", true},
        {"+/+/#", "a", false},
        {"+/+/#", "a/b", true},
    };
    for (const MatchCase& row : cases) {
        EXPECT_EQ(filter_matches(row.filter, row.topic), row.matches) << row.filter << " " << row.topic;
    }
}

TEST(FilterMatches, LeadingWildcardsPassDollarTopicsBy_MQTT_4_7_2_1) {
    EXPECT_FALSE(filter_matches("#", "$SYS/x"));
    EXPECT_FALSE(filter_matches("+/monitor/Clients", "$SYS/monitor/Clients"));
    EXPECT_TRUE(filter_matches("$SYS/#", "$SYS/monitor/Clients"));
    EXPECT_TRUE(filter_matches("$SYS/monitor/+", "$SYS/monitor/Clients"));
    EXPECT_TRUE(filter_matches("+/$SYS", "a/$SYS"));
}

TEST(IsTopicFilter, WildcardsStandAloneInTheirLevel_MQTT_4_7_1_1_and_2) {
    for (const char* filter : {"#", "+", "a", "/", "//", "a/#", "+/#", "+/tennis/#", "sport/+/player1", "/+",
                               "a b/$x", "$SYS/#"}) {
        EXPECT_TRUE(is_topic_filter(filter)) << filter;
    }
    for (const char* filter : {"", "a#", "#a", "a/#/b", "##", "sport/tennis#", "+a", "a+", "++", "a/+b",
                               "a/b+/c", "#/", "+#", "/#/"}) {
        EXPECT_FALSE(is_topic_filter(filter)) << filter;
    }
}

TEST(IsTopicName, HasNoWildcards_MQTT_4_7_0_1) {
    for (const char* topic : {"a", "/", "a/b", " ", "$SYS/x", "\xc3\xa4"})
        EXPECT_TRUE(is_topic_name(topic)) << topic;
    for (const char* topic : {"", "#", "+", "a/#", "a+", "a/+/b"})
        EXPECT_FALSE(is_topic_name(topic)) << topic;
}

TEST(IsTopicName, IsOneTo65535BytesWithoutNul_MQTT_4_7_3_1_2_3) {
    EXPECT_TRUE(is_topic_name(std::string(65535, 'a')));
    EXPECT_FALSE(is_topic_name(std::string(65536, 'a')));
    EXPECT_FALSE(is_topic_filter(std::string(65536, 'a')));
    EXPECT_FALSE(is_topic_name(std::string_view("a\0b", 3)));
    EXPECT_FALSE(is_topic_filter(std::string_view("a\0b", 3)));
}

TEST(ParseShare, TakesTheFilterApart_MQTT_4_8_2_1_and_2) {
    const ShareName share = parse_share("$share/group/a/+/#");
    EXPECT_TRUE(share.valid);
    EXPECT_EQ(share.group, "group");
    EXPECT_EQ(share.filter, "a/+/#");
    EXPECT_EQ(parse_share("$share/g//a").filter, "/a");
    EXPECT_TRUE(parse_share("$share/g/#").valid);
    for (const char* filter : {"$share", "$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a",
                               "$share/#/a", "$share/g+/a", "$share/g/a#", "$share/g/#/a"}) {
        EXPECT_FALSE(parse_share(filter).valid) << filter;
    }
}

TEST(ParseShare, LeavesOrdinaryFiltersAlone) {
    for (const char* filter : {"a/b", "#", "$shared/g/a", "$SHARE/g/a", "a/$share/g/b"}) {
        const ShareName share = parse_share(filter);
        EXPECT_TRUE(share.valid && share.group.empty()) << filter;
        EXPECT_EQ(share.filter, filter);
    }
}

TEST(LevelCount, CountsSlashes) {
    EXPECT_EQ(level_count("a"), 1U);
    EXPECT_EQ(level_count("/"), 2U);
    EXPECT_EQ(level_count("a/b/c"), 3U);
}

}  // namespace
}  // namespace sluice::wire
