#include "firmware_sim/outbox.hpp"

#include <gtest/gtest.h>

namespace sluice::firmware {
namespace {

constexpr MonoTime now{Millis{1000}};

TEST(Outbox, SendsInOrderUpToTheInflightLimit) {
    Outbox outbox(10, 2);
    for (std::uint64_t seq = 1; seq <= 3; ++seq) outbox.push(seq, "m");
    const auto first = outbox.take(now);
    const auto second = outbox.take(now);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->seq, 1u);
    EXPECT_EQ(second->seq, 2u);
    EXPECT_FALSE(first->again);
    EXPECT_FALSE(outbox.take(now));
    EXPECT_EQ(outbox.on_acknowledged(first->attempt), 1u);
    EXPECT_EQ(outbox.take(now)->seq, 3u);
}

TEST(Outbox, CountsAnAcknowledgementOnce) {
    Outbox outbox(10, 2);
    outbox.push(1, "m");
    const auto sending = outbox.take(now);
    EXPECT_EQ(outbox.on_acknowledged(sending->attempt), 1u);
    EXPECT_FALSE(outbox.on_acknowledged(sending->attempt));
    EXPECT_TRUE(outbox.empty());
}

TEST(Outbox, AfterALostConnectionTheSameSeqGoesOutAgain) {
    Outbox outbox(10, 5);
    outbox.push(1, "one");
    outbox.push(2, "two");
    const auto lost = outbox.take(now);
    outbox.take(now);
    outbox.release_all();
    EXPECT_EQ(outbox.inflight(), 0u);
    outbox.push(3, "three");
    const auto again = outbox.take(now);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->seq, 1u);
    EXPECT_EQ(again->payload, "one");
    EXPECT_TRUE(again->again);
    // What the old connection still tells means nothing now.
    EXPECT_FALSE(outbox.on_acknowledged(lost->attempt));
    outbox.on_failed(lost->attempt, now);
    EXPECT_EQ(outbox.inflight(), 1u);
    EXPECT_EQ(outbox.take(now)->seq, 2u);
    EXPECT_EQ(outbox.take(now)->seq, 3u);
}

TEST(Outbox, ARefusedMessageWaitsAndHoldsBackLaterOnes) {
    Outbox outbox(10, 5);
    outbox.push(1, "one");
    outbox.push(2, "two");
    const auto refused = outbox.take(now);
    outbox.on_failed(refused->attempt, now + Millis{500});
    EXPECT_FALSE(outbox.take(now + Millis{499}));
    EXPECT_EQ(outbox.take(now + Millis{500})->seq, 1u);
    EXPECT_EQ(outbox.take(now + Millis{500})->seq, 2u);
}

TEST(Outbox, IsBounded) {
    Outbox outbox(2, 5);
    outbox.push(1, "m");
    EXPECT_FALSE(outbox.full());
    outbox.push(2, "m");
    EXPECT_TRUE(outbox.full());
    outbox.on_acknowledged(outbox.take(now)->attempt);
    EXPECT_FALSE(outbox.full());
}

}  // namespace
}  // namespace sluice::firmware
