#include "listener/door_stats.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::listener {
namespace {

using namespace std::chrono_literals;

TEST(LineBudget, BurstThenSoManyInASecond) {
    LineBudget budget;
    std::uint64_t suppressed = 0;
    MonoTime now{1000s};
    for (int i = 0; i < LineBudget::burst; ++i) {
        EXPECT_TRUE(budget.allow(now, suppressed)) << i;
        EXPECT_EQ(suppressed, 0U);
    }
    for (int i = 0; i < 7; ++i) EXPECT_FALSE(budget.allow(now, suppressed));
    now += 100ms;
    EXPECT_TRUE(budget.allow(now, suppressed));
    EXPECT_EQ(suppressed, 7U);
    EXPECT_FALSE(budget.allow(now, suppressed));
    now += 1s;
    for (int i = 0; i < LineBudget::per_second; ++i) EXPECT_TRUE(budget.allow(now, suppressed)) << i;
    EXPECT_FALSE(budget.allow(now, suppressed));
    now += 3600s;
    for (int i = 0; i < LineBudget::burst; ++i) EXPECT_TRUE(budget.allow(now, suppressed)) << i;
    EXPECT_FALSE(budget.allow(now, suppressed));
}

TEST(DoorStats, EveryReasonHasACounterAndAName) {
    static std::vector<std::string> lines;
    lines.clear();
    log::set_sink([](log::Level, std::string_view line) { lines.emplace_back(line); });
    DoorStats stats;
    for (std::size_t i = 0; i < turned_away_count; ++i) {
        const auto why = static_cast<TurnedAway>(i);
        EXPECT_FALSE(name_of(why).empty());
        for (int n = 0; n < 100; ++n) stats.turn_away(why, log::Level::warn, name_of(why));
        EXPECT_EQ(stats.turned_away(why), 100U);
    }
    log::set_sink([](log::Level, std::string_view) {});
    EXPECT_GE(lines.size(), turned_away_count * LineBudget::burst);
    EXPECT_LT(lines.size(), turned_away_count * 40) << "a flood fills the log";
}

}  // namespace
}  // namespace sluice::listener
