/// Sieve: how many rounds it takes to find those that are to blame.
#include "bridge/kafka/sieve.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace sluice::bridge::kafka {
namespace {

/// Sends 0..count-1 in order; a group with a bad one is refused as a whole. How many groups it takes.
int rounds(int count, const std::set<int>& bad) {
    Sieve sieve;
    sieve.begin_group();
    for (int i = 0; i < count; ++i) sieve.sent();
    sieve.refused(static_cast<std::size_t>(count));
    std::set<int> blamed;
    int rounds = 0;
    for (int next = 0; next < count; ++rounds) {
        sieve.begin_group();
        const int begin = next;
        for (; next < count && !sieve.is_full(); ++next) sieve.sent();
        const auto first_bad = bad.lower_bound(begin);
        if (first_bad == bad.end() || *first_bad >= next) continue;  // taken
        const bool to_blame = sieve.is_alone();
        sieve.refused(static_cast<std::size_t>(next - begin));
        if (to_blame) {
            blamed.insert(begin);
        } else {
            next = begin;
        }
    }
    EXPECT_EQ(blamed, bad);
    return rounds;
}

TEST(Sieve, finds_one_in_a_thousand_in_few_rounds) {
    for (const int bad : {0, 1, 499, 500, 998, 999}) EXPECT_LT(rounds(1000, {bad}), 80) << bad;
}

TEST(Sieve, finds_all_where_there_are_many) {
    EXPECT_LT(rounds(1000, {3, 4, 5, 500, 700, 701}), 250);
    std::set<int> every_tenth;
    for (int i = 0; i < 100; i += 10) every_tenth.insert(i);
    EXPECT_LT(rounds(100, every_tenth), 150);
    EXPECT_LT(rounds(2, {0, 1}), 5);
}

TEST(Sieve, innocents_of_another_trouble_are_through_at_once) {
    EXPECT_LT(rounds(1000, {}), 5);
}

TEST(Sieve, what_fell_for_another_reason_goes_again_as_it_was) {
    Sieve sieve;
    sieve.begin_group();
    sieve.sent();
    sieve.refused(6);
    for (int round = 0; round < 3; ++round) {
        sieve.begin_group();
        for (int i = 0; i < 3; ++i) {
            EXPECT_FALSE(sieve.is_full());
            sieve.sent();
        }
        EXPECT_TRUE(sieve.is_full());
        sieve.fell();
    }
}

TEST(Sieve, one_that_was_not_alone_is_not_to_blame) {
    Sieve sieve;
    sieve.begin_group();
    EXPECT_FALSE(sieve.is_alone());
    sieve.sent();
    EXPECT_TRUE(sieve.is_alone());
    sieve.sent();
    EXPECT_FALSE(sieve.is_alone());
}

}  // namespace
}  // namespace sluice::bridge::kafka
