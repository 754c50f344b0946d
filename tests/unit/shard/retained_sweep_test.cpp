// Retained messages that have expired leave memory and disk without anybody asking for them.
#include <gtest/gtest.h>

#include "tests/unit/shard/shard_fixture.hpp"

namespace sluice::shard::test {
namespace {

core::MessagePtr retained(const std::string& topic, std::chrono::seconds age) {
    return core::Message::freeze({.topic = topic,
                                  .payload = as_bytes("x"),
                                  .retain = true,
                                  .received = Now::read().wall - age,
                                  .expiry_interval_s = 10});
}

TEST(RetainedSweep, RemovesWhatHasExpiredFromMemoryAndDisk) {
    RunningShard shard({}, Millis(10));
    const auto dead = retained("dead", std::chrono::seconds(20));
    shard.retained().set(retained("alive", std::chrono::seconds(0)));
    shard.retained().set(dead);
    shard.retained().set(retained("$SYS/dead", std::chrono::seconds(20)));
    ASSERT_TRUE(wait_for([&] { return shard.counters().retained_expired.get() == 2; }));
    EXPECT_TRUE(shard.retained().find("alive"));
    shard.stop();
    const auto cleared = shard.store().cleared();
    ASSERT_EQ(cleared.size(), 1U) << "what the broker says of itself is on no disk";
    EXPECT_EQ(cleared.front().topic, "dead");
}

TEST(RetainedSweep, TakesManyInPieces) {
    RunningShard shard({}, Millis(10));
    for (int i = 0; i < 1000; ++i)
        shard.retained().set(retained("dead/" + std::to_string(i), std::chrono::seconds(20)));
    ASSERT_TRUE(wait_for([&] { return shard.counters().retained_expired.get() == 1000; }));
    EXPECT_EQ(shard.retained().size(), 0U);
}

}  // namespace
}  // namespace sluice::shard::test
