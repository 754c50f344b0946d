#include "base/clock_history.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr WallTime today{std::chrono::sys_days{std::chrono::year{2026} / 11 / 30}};
constexpr WallTime nineteen_seventy{};
constexpr Millis week{hours(24 * 7)};

/// A machine: its clocks as they go on and are set.
class ClockHistoryTest : public ::testing::Test {
  protected:
    void boot_at(WallTime wall) {
        wall_ = wall;
        history_.observe(since_boot_, wall_);
    }
    void pass(Millis time) {
        since_boot_ += time;
        wall_ += time;
        history_.observe(since_boot_, wall_);
    }
    Millis set(WallTime wall) {
        wall_ = wall;
        return history_.observe(since_boot_, wall_);
    }
    Millis age(WallTime since) const { return history_.age(since, wall_); }

    ClockHistory history_;
    Millis since_boot_{seconds(20)};
    WallTime wall_{};
};

TEST_F(ClockHistoryTest, without_a_jump_an_age_is_a_difference) {
    boot_at(today);
    pass(minutes(5));
    EXPECT_EQ(age(today), minutes(5));
    EXPECT_EQ(age(today - week), week + minutes(5)) << "of an earlier run";
    EXPECT_EQ(age(today + minutes(6)), -minutes(1));
    EXPECT_EQ(history_.jumps(), 0U);
}

TEST_F(ClockHistoryTest, what_came_in_under_1970_is_as_old_as_it_is) {
    boot_at(nineteen_seventy + seconds(20));
    pass(minutes(1));
    const WallTime received = wall_;
    pass(minutes(9));
    const WallTime of_earlier_boot = today - hours(3);
    EXPECT_EQ(set(today), today - (received + minutes(9)));
    pass(minutes(1));
    EXPECT_EQ(age(received), minutes(10));
    EXPECT_EQ(age(of_earlier_boot), hours(3) + minutes(1));
    EXPECT_EQ(age(today), minutes(1));
}

TEST_F(ClockHistoryTest, a_clock_that_went_on_where_it_was_switched_off) {
    boot_at(today - 2 * week);
    pass(minutes(10));
    const WallTime received = wall_;
    set(today);
    EXPECT_EQ(age(received), Millis(0));
    EXPECT_EQ(age(today - 2 * week - hours(1)), 2 * week + hours(1)) << "came in before it was switched off";
}

TEST_F(ClockHistoryTest, set_back_and_set_again) {
    boot_at(today);
    pass(minutes(10));
    const WallTime received = wall_;
    EXPECT_EQ(set(today - hours(1)), -hours(1) - minutes(10));
    pass(minutes(10));
    EXPECT_EQ(age(received), minutes(10));
    set(today + week);
    pass(minutes(1));
    EXPECT_EQ(age(received), minutes(11));
    EXPECT_EQ(age(today - minutes(55)), minutes(6)) << "between the two";
}

TEST_F(ClockHistoryTest, where_the_clock_said_the_same_twice_the_later_one_counts) {
    boot_at(today);
    pass(hours(2));
    set(today + hours(1));
    pass(minutes(30));
    EXPECT_EQ(age(today + hours(1) + minutes(15)), minutes(15));
}

TEST_F(ClockHistoryTest, a_leap_second_is_no_jump_and_sleep_is_none) {
    boot_at(today);
    EXPECT_EQ(set(today - seconds(1)), Millis(0));
    pass(week);  // asleep: the time since boot counts that
    EXPECT_EQ(history_.jumps(), 0U);
    EXPECT_EQ(age(today), week - seconds(1));
}

TEST_F(ClockHistoryTest, the_next_run_knows_what_the_last_one_kept) {
    boot_at(today - 2 * week);
    const WallTime received = wall_;
    pass(minutes(10));
    set(today);
    ClockHistory next;
    next.restore(history_.spans());
    next.observe(since_boot_, wall_);
    EXPECT_EQ(next.age(received, wall_), minutes(10));
    // It is switched off and wrong again, by less.
    next.restore(history_.spans());
    ClockHistory third;
    third.restore(next.spans());
    third.observe(seconds(20), today - week);
    EXPECT_EQ(third.observe(seconds(30), today + seconds(10)), week);
    EXPECT_EQ(third.age(received, today + seconds(10)), minutes(10) + seconds(10)) << "the first jump only";
    EXPECT_EQ(third.age(today - week, today + seconds(10)), seconds(10)) << "the second one only";
}

TEST_F(ClockHistoryTest, a_time_before_the_clock_was_ever_set_is_no_age) {
    boot_at(today);
    EXPECT_EQ(age(nineteen_seventy + hours(1)), Millis(0));
    const ClockHistory still_unset;
    EXPECT_EQ(still_unset.age(nineteen_seventy, nineteen_seventy + hours(1)), hours(1));
}

TEST_F(ClockHistoryTest, forgets_the_oldest_of_many) {
    boot_at(today);
    for (int i = 0; i < 100; ++i) set(today + week * (i + 1));
    EXPECT_EQ(history_.jumps(), 100U);
    EXPECT_EQ(history_.spans().size(), ClockHistory::spans_max);
    EXPECT_EQ(history_.spans().back().behind, week);
}

}  // namespace
}  // namespace sluice
