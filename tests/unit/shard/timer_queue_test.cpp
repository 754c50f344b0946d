#include "shard/timer_queue.hpp"

#include <gtest/gtest.h>

#include "tests/unit/shard/shard_fixture.hpp"

namespace sluice::shard::test {
namespace {

using std::chrono::seconds;

constexpr MonoTime start{Millis(1'000'000)};
constexpr seconds week{7 * 24 * 3600};

TEST(TimerQueue, GivesThemOutInTheirOrder) {
    TimerQueue timers;
    for (const int after : {5, 1, 4, 2, 3})
        timers.add(start + seconds(after), TimerKind::will_delay, static_cast<core::SubscriberId>(after), 1);
    for (core::SubscriberId slot = 1; slot <= 5; ++slot) {
        EXPECT_EQ(timers.next(), start + seconds(slot));
        EXPECT_EQ(timers.pop().slot, slot);
    }
    EXPECT_TRUE(timers.empty());
}

// A thousand clients that come back every second, each with a session that would live for a week.
TEST(TimerQueue, AMillionReconnectsLeaveNoHeap) {
    constexpr std::size_t clients = 1000;
    TimerQueue timers;
    std::vector<std::uint32_t> generation(clients);
    std::size_t longest = 0;
    for (int i = 0; i < 1'000'000; ++i) {
        const auto slot = static_cast<core::SubscriberId>(i % clients);
        const MonoTime now = start + Millis(i);
        timers.add(now + week, TimerKind::session_expiry, slot, ++generation[slot]);
        timers.add(now + seconds(90), TimerKind::keep_alive, slot, ++generation[slot]);
        if (timers.crowded())
            timers.compact([&](const Timer& timer) { return generation[timer.slot] == timer.generation; });
        longest = std::max(longest, timers.size());
    }
    EXPECT_LE(longest, 4 * clients);
    EXPECT_LE(timers.footprint_bytes(), 16 * clients * sizeof(Timer));
    // None that somebody waits for is lost, and they are in order still.
    timers.compact([&](const Timer& timer) { return generation[timer.slot] == timer.generation; });
    EXPECT_EQ(timers.size(), clients);
    for (MonoTime last = start; !timers.empty(); last = timers.pop().when) EXPECT_GE(timers.next(), last);
}

TEST(TimerQueue, AShardSweepsThoseOfClientsThatCameBack) {
    RunningShard shard({});
    const auto persistent = [](Admission& admission) {
        admission.clean_start = false;
        admission.session_expiry_interval_s = static_cast<std::uint32_t>(week.count());
        admission.keep_alive_s = 60;
    };
    constexpr int rounds = 1500;
    for (int i = 0; i < rounds; ++i) {
        Peer peer(*shard, "returns", persistent);
        peer.close();
        ASSERT_TRUE(wait_for([&] { return shard.counters().connections.get() == 0; }, Millis(0)));
    }
    shard.stop();
    EXPECT_LE((*shard).timer_count(), 1100U) << "of " << 2 * rounds << " that were armed";
    EXPECT_GE((*shard).timer_count(), 1U);
}

}  // namespace
}  // namespace sluice::shard::test
