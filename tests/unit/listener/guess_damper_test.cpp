#include "listener/guess_damper.hpp"

#include <gtest/gtest.h>

namespace sluice::listener {
namespace {

using namespace std::chrono_literals;

constexpr MonoTime start{1'000'000s};
const net::IpAddress here = *net::parse_ip("192.0.2.1"), there = *net::parse_ip("192.0.2.2");

/// The delay after one more wrong password.
Millis guess(GuessDamper& damper, const net::IpAddress& from, MonoTime now) {
    damper.note_wrong(from, now);
    return damper.delay(from, now);
}

TEST(GuessDamper, SomeAreFreeThenEachMakesAnswersLater) {
    GuessDamper damper;
    EXPECT_EQ(damper.delay(here, start), 0ms);
    for (int i = 0; i < GuessDamper::free_guesses; ++i) EXPECT_EQ(guess(damper, here, start), 0ms) << i;
    for (int i = 1; i <= 12; ++i) EXPECT_EQ(guess(damper, here, start), i * 250ms);
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(guess(damper, here, start), 3s);
    EXPECT_EQ(damper.delay(there, start), 0ms) << "nobody else is slowed";
}

TEST(GuessDamper, TimeForgives) {
    GuessDamper damper;
    for (int i = 0; i < 1000; ++i) damper.note_wrong(here, start);
    EXPECT_EQ(damper.delay(here, start + 5s), 2750ms);
    EXPECT_GT(damper.delay(here, start + 59s), 0ms);
    EXPECT_EQ(damper.delay(here, start + 60s), 0ms);
    for (int i = 0; i < 1000; ++i)
        EXPECT_EQ(guess(damper, there, start + i * 5s), 0ms) << "one in five seconds";
}

// A guesser that waits for each answer before its next one.
TEST(GuessDamper, OneThatGoesOnSettlesAtTheLongestDelay) {
    GuessDamper damper;
    MonoTime now = start;
    for (int i = 0; i < 100; ++i) now += guess(damper, here, now) + 20ms;
    EXPECT_GE(damper.delay(here, now), GuessDamper::delay_max - GuessDamper::delay_step);
}

TEST(GuessDamper, OfIPv6AddressesTheFirstHalfCounts) {
    GuessDamper damper;
    const auto address = [](int host) { return *net::parse_ip("2001:db8:0:1::" + std::to_string(host)); };
    for (int i = 0; i <= GuessDamper::free_guesses; ++i) damper.note_wrong(address(i), start);
    EXPECT_GT(damper.delay(address(999), start), 0ms);
    EXPECT_EQ(damper.delay(*net::parse_ip("2001:db8:0:2::1"), start), 0ms);
    for (int i = 0; i <= GuessDamper::free_guesses; ++i) damper.note_wrong(here, start);
    EXPECT_GT(damper.delay(*net::parse_ip("::ffff:192.0.2.1"), start), 0ms) << "however it is written";
}

TEST(GuessDamper, HeldAnswersAreCountedUntilTheyAreGiven) {
    GuessDamper damper;
    damper.note_wrong(here, start);
    std::vector<GuessDamper::Held> held;
    for (std::size_t i = 0; i < GuessDamper::held_max; ++i) {
        EXPECT_FALSE(damper.is_crowded(here));
        held.push_back(damper.hold(here));
    }
    EXPECT_TRUE(damper.is_crowded(here));
    EXPECT_FALSE(damper.is_crowded(there));
    damper.note_wrong(there, start + 1h);
    EXPECT_TRUE(damper.is_crowded(here)) << "not forgotten while somebody waits";
    GuessDamper::Held moved = std::move(held.back());
    EXPECT_TRUE(damper.is_crowded(here));
    moved = {};
    EXPECT_FALSE(damper.is_crowded(here));
    held.clear();
    damper.note_wrong(there, start + 2h);
    EXPECT_EQ(damper.addresses(), 1U);
}

TEST(GuessDamper, MemoryIsBounded) {
    GuessDamper damper;
    const auto address = [](std::size_t i) {
        const std::uint8_t bytes[] = {10, static_cast<std::uint8_t>(i >> 16),
                                      static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
        return net::ip_v4(bytes);
    };
    for (std::size_t i = 0; i < 2 * GuessDamper::addresses_max; ++i) damper.note_wrong(address(i), start);
    EXPECT_EQ(damper.addresses(), GuessDamper::addresses_max);
    (void)damper.hold(address(2 * GuessDamper::addresses_max));  // of one that is not looked after
    damper.note_wrong(here, start + 60s);
    EXPECT_EQ(damper.addresses(), 1U);
}

}  // namespace
}  // namespace sluice::listener
