#include "firmware_sim/replay.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace sluice::firmware {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::string> reports;
void remember(const std::string& line) {
    reports.push_back(line);
}

class Replay : public ::testing::Test {
  protected:
    void SetUp() override {
        reports.clear();
        const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
        path_ = ::testing::TempDir() + "replay_" + test->name() + ".csv";
    }
    void TearDown() override { std::filesystem::remove(path_); }

    std::unique_ptr<CsvReplay> open(const std::string& text) {
        std::ofstream(path_, std::ios::binary) << text;
        auto replay = CsvReplay::open(path_, remember);
        EXPECT_TRUE(replay.ok()) << replay.error();
        return std::move(replay).value();
    }

    std::string path_;
};

TEST_F(Replay, HeaderWithoutTheRowNumbersName) {
    const auto replay = open(
        "\"date\",\"Temperature\",\"Occupancy\"\n"
        "\"140\",\"2015-02-02 14:19:00\",23.7,1\n"
        "\"141\",\"2015-02-02 14:19:59\",23.718,0\n");
    const auto first = replay->next();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->members, R"("row":140,"date":"2015-02-02 14:19:00","Temperature":23.7,"Occupancy":1)");
    EXPECT_EQ(first->line, 2u);
    const auto second = replay->next();
    ASSERT_TRUE(second);
    EXPECT_EQ(*second->at_ms - *first->at_ms, 59'000);
    EXPECT_FALSE(replay->next());
    EXPECT_THAT(reports, IsEmpty());
    EXPECT_THAT(replay->fields(), ElementsAre("row", "date", "Temperature", "Occupancy"));
}

TEST_F(Replay, BadRowsAreReportedWithTheirLineAndSkipped) {
    const auto replay = open(
        "at,value\n"
        "2024-01-01 00:00:00,1\n"
        "2024-01-01 00:00:01\n"
        "yesterday,2\n"
        "2024-02-30 00:00:00,3\n"
        "\"2024-01-01 00:00:02\"x,4\n"
        "2024-01-01 00:00:03,5\n");
    EXPECT_EQ(replay->next()->members, R"("at":"2024-01-01 00:00:00","value":1)");
    EXPECT_EQ(replay->next()->members, R"("at":"2024-01-01 00:00:03","value":5)");
    EXPECT_FALSE(replay->next());
    EXPECT_EQ(replay->bad_rows(), 4u);
    ASSERT_THAT(reports, SizeIs(4));
    EXPECT_THAT(reports[0], HasSubstr(":3: row skipped: 1 fields, expected 2"));
    EXPECT_THAT(reports[1], HasSubstr(":4: row skipped: 'yesterday' is no time"));
    EXPECT_THAT(reports[2], HasSubstr(":5: "));
    EXPECT_THAT(reports[3], HasSubstr(":6: row skipped: text after a closing quote"));
}

TEST_F(Replay, AFileOfTheWrongKindDoesNotFloodTheReport) {
    std::string text = "a,b\n1,2\n";
    for (int i = 0; i < 100; ++i) text += "x\n";
    const auto replay = open(text);
    while (replay->next()) {
    }
    EXPECT_EQ(replay->bad_rows(), 100u);
    EXPECT_THAT(reports, SizeIs(21));
}

TEST_F(Replay, MembersAreValidJsonAlsoWithOddText) {
    const auto replay = open("na\"me,seq,note\n1,2,\"caf\xE9 \"\"x\"\"\\\"\n");
    const auto row = replay->next();
    ASSERT_TRUE(row);
    const auto json = nlohmann::json::parse('{' + row->members + '}');
    EXPECT_EQ(json["na\"me"], 1);
    EXPECT_EQ(json["csv_seq"], 2) << "the message has a seq of its own";
    EXPECT_EQ(json["note"], "caf\xEF\xBF\xBD \"x\"\\");
}

TEST_F(Replay, RewindBeginsAgainAfterTheHeader) {
    const auto replay = open("v\n1\n2\n");
    while (replay->next()) {
    }
    replay->rewind();
    EXPECT_EQ(replay->next()->members, R"("v":1)");
    EXPECT_EQ(replay->next()->members, R"("v":2)");
    EXPECT_FALSE(replay->next());
    EXPECT_EQ(replay->bad_rows(), 0u);
}

TEST_F(Replay, FilesThatCannotBeReplayed) {
    EXPECT_THAT(CsvReplay::open("/nonexistent.csv", remember).error(), HasSubstr("No such file"));
    EXPECT_THAT(CsvReplay::open(::testing::TempDir(), remember).error(), HasSubstr("directory"));
    std::ofstream(path_) << "";
    EXPECT_THAT(CsvReplay::open(path_, remember).error(), HasSubstr("empty"));
}

TEST(Timestamp, Forms) {
    EXPECT_EQ(parse_timestamp_ms("1970-01-01 00:00:01"), 1000);
    EXPECT_EQ(parse_timestamp_ms("2015-02-02 14:19:00"), 1422886740000);
    EXPECT_EQ(parse_timestamp_ms("2015-02-02T14:19:00.25Z"), 1422886740250);
    EXPECT_EQ(parse_timestamp_ms("2015-02-02 14:19:00.123456"), 1422886740123);
    for (const char* bad : {"", "2015-02-02", "2015-13-02 14:19:00", "2015-02-29 14:19:00",
                            "2015-02-02 24:19:00", "2015-02-02 14:19:00 PM", "2015-02-02 14:19:00.", "140"}) {
        EXPECT_FALSE(parse_timestamp_ms(bad)) << bad;
    }
}

TEST(JsonValue, NumbersStayNumbers) {
    EXPECT_EQ(json_value("23.7"), "23.7");
    EXPECT_EQ(json_value("0.00476416302416414"), "0.00476416302416414");
    EXPECT_EQ(json_value("-1e-3"), "-1e-3");
    EXPECT_EQ(json_value("0"), "0");
    EXPECT_EQ(json_value(" 12 "), "12");
    EXPECT_EQ(json_value("+5"), "5");
    EXPECT_EQ(json_value(".5"), "0.5");
    EXPECT_EQ(json_value(""), "null");
    for (const char* text :
         {"007", "nan", "inf", "-inf", "1.2.3", "0x10", "true", "-", " on ", "1e999999x"}) {
        EXPECT_EQ(json_value(text), '"' + std::string(text) + '"');
    }
}

ReplayRow row_at(std::int64_t at_ms) {
    ReplayRow row;
    row.at_ms = at_ms;
    return row;
}

TEST(ReplayPace, TimesOfTheFileOverSpeed) {
    ReplayPace pace(1, 60);
    EXPECT_EQ(pace.due_ms(row_at(1'000'000)), 0);
    EXPECT_EQ(pace.due_ms(row_at(1'060'000)), 1000);
    EXPECT_EQ(pace.due_ms(row_at(1'000'000)), 1000) << "a time that goes back does not delay";
    EXPECT_EQ(pace.due_ms(row_at(1'120'000)), 2000);
}

TEST(ReplayPace, TheRateWithoutTimes) {
    ReplayPace pace(10, 2);
    EXPECT_EQ(pace.due_ms(ReplayRow{}), 0);
    EXPECT_EQ(pace.due_ms(ReplayRow{}), 50);
    EXPECT_EQ(pace.due_ms(ReplayRow{}), 100);
}

TEST(ReplayPace, ALoopGoesOnOneGapLater) {
    ReplayPace pace(1, 1);
    for (int i = 0; i < 3; ++i) pace.due_ms(row_at(5000 + i * 100));
    pace.restart();
    EXPECT_EQ(pace.due_ms(row_at(5000)), 300);
    EXPECT_EQ(pace.due_ms(row_at(5100)), 400);
}

}  // namespace
}  // namespace sluice::firmware
