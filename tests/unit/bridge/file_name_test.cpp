#include "bridge/file/file_name.hpp"

#include <gtest/gtest.h>

#include "tests/unit/bridge/messages.hpp"

namespace sluice::bridge::file {
namespace {

const WallTime evening{std::chrono::milliseconds(1'796'072'400'123)};

TEST(FileName, times_are_utc_and_never_out_of_form) {
    EXPECT_EQ(line_time(evening), "2026-11-30T21:00:00.123Z");
    EXPECT_EQ(compact_time(evening), "20261130T210000Z");
    EXPECT_EQ(line_time(WallTime(Millis(951'782'400'000))), "2000-02-29T00:00:00.000Z");
    EXPECT_EQ(line_time(WallTime::min()), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(line_time(WallTime::max()), "9999-12-31T23:59:59.999Z");
}

TEST(FileName, what_is_made_is_understood) {
    for (const std::string base :
         {"messages", "a-b", "x-20261129T210000Z", "x-000001", "Jülich", "a b", "-20261129T210000Z-00001"}) {
        ASSERT_EQ(base_problem(base), "") << base;
        const std::string active = active_name(base), finished = finished_name(base, evening, 17);
        const auto parsed_active = parse_name(active), parsed = parse_name(finished);
        ASSERT_TRUE(parsed_active && parsed) << base;
        EXPECT_EQ(parsed_active->base, base);
        EXPECT_FALSE(parsed_active->number);
        EXPECT_EQ(parsed->base, base);
        EXPECT_EQ(parsed->number, 17U);
    }
    EXPECT_EQ(finished_name("messages", evening, 1), "messages-20261130T210000Z-000001.ndjson");
    EXPECT_EQ(parse_name(finished_name("m", evening, 12'345'678))->number, 12'345'678U);
}

TEST(FileName, other_names_are_none_of_ours) {
    for (const char* name : {"", ".ndjson", "notes.txt", "messages.ndjson.gz", ".hidden.ndjson", "messages",
                             "messages.ndjson.damaged-20261129T210000Z", "a\nb.ndjson"})
        EXPECT_FALSE(parse_name(name)) << name;
    // The base of a finished file is a base, too.
    EXPECT_FALSE(parse_name("-20261129T210000Z-000001.ndjson"));
    EXPECT_FALSE(parse_name("a-20261129T210000Z-000001-20261129T210000Z-000001.ndjson"));
}

TEST(FileName, a_bad_base_is_told_why) {
    EXPECT_NE(base_problem("").find("empty"), std::string::npos);
    EXPECT_NE(base_problem("a/b").find("'a/b' has a '/'"), std::string::npos);
    EXPECT_NE(base_problem("..").find("begins with '.'"), std::string::npos);
    EXPECT_NE(base_problem("a\xff").find("cannot be printed"), std::string::npos);
    EXPECT_NE(base_problem(std::string_view("a\0b", 3)).find("cannot be printed"), std::string::npos);
    EXPECT_NE(base_problem(std::string(151, 'x')).find("151 bytes, at most 150"), std::string::npos);
    EXPECT_EQ(base_problem(std::string(150, 'x')), "");
    EXPECT_NE(base_problem("a-20261129T210000Z-000001").find("finished"), std::string::npos);
    EXPECT_LE(finished_name(std::string(150, 'x'), evening, UINT64_MAX).size() +
                  std::string(".damaged-20261129T210000Z").size(),
              255U);
}

TEST(FileName, only_the_slashes_of_the_whole_topic_are_bent) {
    const auto message = test::sample("", "/plant/7");
    const auto base = [&](std::string_view text) {
        std::string out;
        EXPECT_TRUE(Template::parse(text)->render(MessageView(*message), out, &append_base).ok());
        return out;
    };
    EXPECT_EQ(base("{topic}"), "_plant_7");
    EXPECT_EQ(base("{topic[1]}-{property.none|a/b}"), "plant-a/b");
}

}  // namespace
}  // namespace sluice::bridge::file
