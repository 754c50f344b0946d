#include "shard/token_bucket.hpp"

#include <gtest/gtest.h>

namespace sluice::shard {
namespace {

constexpr MonoTime start{Millis(1'000'000)};

TEST(TokenBucket, LetsASecondsWorthThroughAtOnce) {
    TokenBucket bucket;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(bucket.take(start, 10), Millis(0)) << i;
    EXPECT_EQ(bucket.take(start, 10), Millis(100));
}

TEST(TokenBucket, FillsUpAgainButNeverOver) {
    TokenBucket bucket;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(bucket.take(start, 10), Millis(0));
    const MonoTime later = start + Millis(500);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(bucket.take(later, 10), Millis(0)) << i;
    EXPECT_GT(bucket.take(later, 10), Millis(0));
    const MonoTime much_later = start + Millis(3'600'000);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(bucket.take(much_later, 10), Millis(0)) << i;
    EXPECT_GT(bucket.take(much_later, 10), Millis(0));
}

/// Events that come as fast as the bucket allows.
std::int64_t events_in(Millis time, std::uint32_t per_second) {
    TokenBucket bucket;
    MonoTime now = start;
    std::int64_t events = 0;
    while (now - start < time) {
        ++events;
        now += bucket.take(now, per_second);
    }
    return events;
}

TEST(TokenBucket, HoldsTheRateInTheLongRun) {
    for (const std::uint32_t rate : {1U, 3U, 7U, 1000U, 4321U, 100'000U}) {
        const auto events = events_in(Millis(100'000), rate);
        // One second's worth comes at once in the beginning.
        EXPECT_GE(events, 100 * rate) << rate;
        EXPECT_LE(events, 101 * std::int64_t{rate} + 1) << rate;
    }
}

}  // namespace
}  // namespace sluice::shard
