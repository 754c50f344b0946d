#include "shard/takeover_damper.hpp"

#include <gtest/gtest.h>

namespace sluice::shard {
namespace {

using namespace std::chrono_literals;

constexpr MonoTime start{1'000'000s};

TEST(TakeoverDamper, SomeAtOnceAreFreeThenEachWaitsLonger) {
    TakeoverDamper damper;
    for (int i = 0; i < TakeoverDamper::free_takeovers; ++i) EXPECT_EQ(damper.note("a", start), 0ms) << i;
    EXPECT_EQ(damper.note("a", start), 1000ms);
    EXPECT_EQ(damper.note("a", start), 2000ms);
    EXPECT_EQ(damper.note("a", start), 3000ms);
    EXPECT_EQ(damper.note("a", start), 4000ms);
    EXPECT_EQ(damper.note("a", start), 5000ms);
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(damper.note("a", start), 5000ms);
    EXPECT_EQ(damper.note("b", start), 0ms) << "nobody else is slowed";
}

// Each comes back as soon as the other has taken its place.
TEST(TakeoverDamper, FightSettlesAtTheLongestWait) {
    TakeoverDamper damper;
    MonoTime now = start;
    std::vector<Millis> waits;
    for (int i = 0; i < TakeoverDamper::free_takeovers + 35; ++i) {
        waits.push_back(damper.note("a", now));
        now += waits.back() + 20ms;
    }
    EXPECT_EQ(waits[TakeoverDamper::free_takeovers], 1000ms);
    constexpr int settled = TakeoverDamper::free_takeovers + 10;
    EXPECT_TRUE(std::is_sorted(waits.begin(), waits.begin() + settled));
    for (std::size_t i = settled; i < waits.size(); ++i) EXPECT_GE(waits[i], 4000ms) << i;
}

TEST(TakeoverDamper, TimeForgives) {
    TakeoverDamper damper;
    for (int i = 0; i < 1000; ++i) (void)damper.note("a", start);
    // Five more than the free ones are in force at most: after 25 s none of them.
    EXPECT_GT(damper.note("a", start + 24s), 0ms);
    TakeoverDamper other;
    for (int i = 0; i < 1000; ++i) (void)other.note("a", start);
    EXPECT_EQ(other.note("a", start + 31s), 0ms);
    // Once in five seconds is never slowed.
    TakeoverDamper slow;
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(slow.note("a", start + i * 5s), 0ms) << i;
}

TEST(TakeoverDamper, MemoryIsBounded) {
    TakeoverDamper damper;
    for (std::size_t i = 0; i < 2 * TakeoverDamper::clients_max; ++i)
        EXPECT_EQ(damper.note(std::to_string(i), start), 0ms);
    EXPECT_EQ(damper.clients(), TakeoverDamper::clients_max);
    (void)damper.note("later", start + 60s);
    EXPECT_EQ(damper.clients(), 1U);
}

}  // namespace
}  // namespace sluice::shard
