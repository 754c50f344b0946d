#include "bridge/progress.hpp"

#include <gtest/gtest.h>

namespace sluice::bridge {
namespace {

MonoTime at(int seconds) {
    return MonoTime(std::chrono::seconds(seconds));
}

TEST(Progress, is_none_before_there_are_two_samples) {
    Progress progress;
    EXPECT_EQ(progress.arrival_rate(), 0);
    progress.add(at(5), 100, 50);
    EXPECT_EQ(progress.arrival_rate(), 0);
    EXPECT_EQ(progress.confirm_rate(), 0);
}

TEST(Progress, is_that_of_the_last_minute) {
    Progress progress;
    std::uint64_t arrived = 1'000'000;  // what was there at the first sample is no arrival
    for (int i = 0; i <= 12; ++i) progress.add(at(i * 5), arrived += 50, static_cast<std::uint64_t>(i) * 10);
    EXPECT_DOUBLE_EQ(progress.arrival_rate(), 10);
    EXPECT_DOUBLE_EQ(progress.confirm_rate(), 2);
    for (int i = 13; i <= 24; ++i) progress.add(at(i * 5), arrived, 120);
    EXPECT_DOUBLE_EQ(progress.arrival_rate(), 0) << "a minute without any";
}

TEST(Progress, does_not_divide_by_no_time_and_is_never_negative) {
    Progress progress;
    progress.add(at(5), 10, 10);
    progress.add(at(5), 20, 20);
    EXPECT_EQ(progress.arrival_rate(), 0);
    progress.add(at(6), 5, 20);
    EXPECT_EQ(progress.arrival_rate(), 0);
    EXPECT_DOUBLE_EQ(progress.confirm_rate(), 10);
}

}  // namespace
}  // namespace sluice::bridge
