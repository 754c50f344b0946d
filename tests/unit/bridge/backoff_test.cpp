#include "bridge/backoff.hpp"

#include <gtest/gtest.h>

#include <set>

namespace sluice::bridge {
namespace {

using std::chrono::milliseconds;

TEST(Backoff, doubles_from_half_a_second_to_thirty_with_jitter_of_half) {
    Backoff backoff(7);
    for (long step = 500;; step = std::min(step * 2, 30'000L)) {
        const auto wait = backoff.next().count();
        EXPECT_GE(wait, step / 2);
        EXPECT_LE(wait, step);
        if (step == 30'000) break;
    }
    for (int i = 0; i < 100; ++i) EXPECT_LE(backoff.next(), milliseconds(30'000));
}

TEST(Backoff, begins_anew_after_reset) {
    Backoff backoff(7);
    for (int i = 0; i < 10; ++i) static_cast<void>(backoff.next());
    backoff.reset();
    EXPECT_LE(backoff.next(), milliseconds(500));
}

TEST(Backoff, gateways_do_not_wait_in_step) {
    std::set<milliseconds> waits;
    for (std::uint64_t seed = 0; seed < 100; ++seed) waits.insert(Backoff(seed).next());
    EXPECT_GT(waits.size(), 50U);
}

}  // namespace
}  // namespace sluice::bridge
