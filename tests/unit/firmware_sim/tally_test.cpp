#include "firmware_sim/tally.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "firmware_sim/backoff.hpp"
#include "firmware_sim/telemetry.hpp"

namespace sluice::firmware {
namespace {

TEST(Tally, CountsAndPrintsTheLastLine) {
    Tally tally;
    for (int i = 0; i < 3; ++i) tally.on_sent();
    tally.on_acknowledged("device-0001", 1);
    tally.on_connected(false);
    tally.on_disconnected();
    tally.on_connected(true);
    EXPECT_EQ(tally.counts().unacknowledged(), 2u);
    EXPECT_EQ(summary_line(tally.counts()), "sent 3 acknowledged 1 unacknowledged 2 reconnects 1");
    EXPECT_EQ(progress_line(tally.counts()),
              "sent 3 acknowledged 1 unacknowledged 2 reconnects 1 connected 1");
}

TEST(Tally, TheJournalHoldsEachAcknowledgedMessageAfterAFlush) {
    const std::string path = ::testing::TempDir() + "tally_journal.txt";
    Tally tally;
    ASSERT_FALSE(tally.open_journal(path));
    tally.on_sent();
    tally.on_sent();
    tally.on_acknowledged("device-0002", 7);
    tally.on_acknowledged("device-0001", 18446744073709551615u);
    tally.flush();
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    EXPECT_EQ(text.str(), "device-0002 7\ndevice-0001 18446744073709551615\n");
    std::filesystem::remove(path);
}

TEST(Tally, AJournalThatCannotBeWrittenIsOneLine) {
    Tally tally;
    const auto error = tally.open_journal("/nonexistent/journal");
    ASSERT_TRUE(error);
    EXPECT_THAT(*error, ::testing::HasSubstr("No such file or directory"));
    EXPECT_EQ(error->find('\n'), std::string::npos);
}

TEST(Telemetry, AMessageCarriesDeviceSeqAndTime) {
    const WallTime time{Millis{1422886740042}};
    EXPECT_EQ(telemetry_json("device-0001", 7, time, R"("temperature":21.5)"),
              R"({"device":"device-0001","seq":7,"time":"2015-02-02T14:19:00.042Z","temperature":21.5})");
    EXPECT_EQ(telemetry_json("device-0001", 7, time, ""),
              R"({"device":"device-0001","seq":7,"time":"2015-02-02T14:19:00.042Z"})");
    EXPECT_EQ(device_name(1), "device-0001");
}

TEST(Telemetry, ARoomIsRepeatableFromItsSeed) {
    SimulatedRoom a(1);
    SimulatedRoom b(1);
    SimulatedRoom c(2);
    const std::string first = a.measure();
    EXPECT_EQ(first, b.measure());
    EXPECT_NE(first, c.measure());
    EXPECT_NE(first, a.measure());
}

TEST(Backoff, DoublesUpToItsLimitWithJitter) {
    Backoff backoff(Millis{1000}, 1);
    for (const int pause : {200, 400, 800, 1000, 1000}) {
        const auto got = backoff.next().count();
        EXPECT_GE(got, pause / 2);
        EXPECT_LE(got, pause);
    }
    backoff.reset();
    EXPECT_LE(backoff.next().count(), 200);
}

}  // namespace
}  // namespace sluice::firmware
