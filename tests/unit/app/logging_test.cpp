#include "app/logging.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace sluice::app {
namespace {

std::string logged(LogForm form, log::Level level) {
    testing::internal::CaptureStderr();
    start_logging(form, level);
    log::debug("a: debug");
    log::info("a: info");
    log::warn("a: warn");
    log::error("a: error {} %v");
    return testing::internal::GetCapturedStderr();
}

TEST(Logging, GivesTheJournalPrioritiesAndNoTime) {
    EXPECT_EQ(logged(LogForm::journal, log::Level::debug),
              "<7>a: debug\n<6>a: info\n<4>a: warn\n<3>a: error {} %v\n");
    EXPECT_EQ(logged(LogForm::journal, log::Level::warn), "<4>a: warn\n<3>a: error {} %v\n");
}

TEST(Logging, GivesPeopleTheTime) {
    EXPECT_THAT(logged(LogForm::plain, log::Level::error),
                testing::MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9:.]+[+-][0-9:]+ error a: error \\{\\} %v\n"));
}

TEST(Logging, KeepsALineOneLine) {
    EXPECT_EQ(printable_line("client=a\nerror: faked \x1b[2J \x7f"),
              "client=a\\x0aerror: faked \\x1b[2J \\x7f");
    EXPECT_EQ(printable_line("Grüße"), "Grüße");
    EXPECT_EQ(printable_line("\xc2\x9b"
                             "2J \xc2\xa7 \xc3\x9f"),
              "\\xc2\\x9b2J § ß");
}

TEST(Logging, BoundsALine) {
    const std::string line = printable_line(std::string(100'000, '\x01'));
    EXPECT_LT(line.size(), 5000U);
    EXPECT_TRUE(line.ends_with("\\x01... (100000 bytes)")) << line.substr(4000);
}

TEST(Logging, KnowsWhoReadsIt) {
    testing::internal::CaptureStderr();  // not a terminal then
    ::unsetenv("JOURNAL_STREAM");
    ::unsetenv("INVOCATION_ID");
    EXPECT_EQ(find_log_form(), LogForm::plain);
    ::setenv("JOURNAL_STREAM", "8:123", 1);
    EXPECT_EQ(find_log_form(), LogForm::journal);
    ::unsetenv("JOURNAL_STREAM");
    ::setenv("INVOCATION_ID", "x", 1);
    EXPECT_EQ(find_log_form(), LogForm::journal);
    ::unsetenv("INVOCATION_ID");
    testing::internal::GetCapturedStderr();
}

}  // namespace
}  // namespace sluice::app
