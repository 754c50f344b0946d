#include "bridge/lane_queue.hpp"

#include <gtest/gtest.h>

namespace sluice::bridge {
namespace {

using std::chrono::milliseconds;

Outgoing out(std::uint64_t tag) {
    return {0, 0, tag, false, {}};
}
const Steady::time_point t0{std::chrono::hours(1)};
const Steady::time_point later = t0 + std::chrono::hours(1);

TEST(LaneQueue, lets_everything_out_while_nothing_is_wrong) {
    LaneQueue lane(1);
    for (std::uint64_t i = 0; i < 100; ++i) lane.push(out(i), i);
    for (std::uint64_t i = 0; i < 100; ++i) {
        ASSERT_TRUE(lane.ready(t0));
        EXPECT_EQ(lane.take().out.tag, i);
    }
    EXPECT_FALSE(lane.ready(t0));
}

TEST(LaneQueue, what_is_put_back_goes_first_again_in_the_old_order_after_a_pause) {
    LaneQueue lane(1);
    for (std::uint64_t i = 0; i < 4; ++i) lane.push(out(i), i);
    Held a = lane.take(), b = lane.take(), c = lane.take();
    lane.put_back(std::move(b), t0);
    lane.put_back(std::move(a), t0);
    lane.finished(c);
    EXPECT_FALSE(lane.ready(t0));
    EXPECT_GE(lane.wake_at(t0), t0 + milliseconds(250));
    EXPECT_LE(lane.wake_at(t0), t0 + milliseconds(500));
    ASSERT_TRUE(lane.ready(later));
    EXPECT_EQ(lane.take().out.tag, 0U);
}

TEST(LaneQueue, acquits_those_that_wait) {
    LaneQueue lane(1);
    for (std::uint64_t i = 0; i < 4; ++i) lane.push(out(i), i);
    Held a = lane.take(), b = lane.take(), c = lane.take();
    a.suspect = b.suspect = c.suspect = true;
    lane.put_back(std::move(a), t0);
    lane.put_back(std::move(b), t0);
    EXPECT_TRUE(lane.has_suspects());
    lane.acquit();
    EXPECT_FALSE(lane.has_suspects());
    EXPECT_FALSE(lane.front().suspect);
    lane.take_again(std::move(c));
    EXPECT_TRUE(lane.has_suspects()) << "one was still under way";
    for (int i = 0; i < 3; ++i) lane.take();
    EXPECT_FALSE(lane.has_suspects());
}

TEST(LaneQueue, after_trouble_one_goes_alone_and_success_opens_the_window) {
    LaneQueue lane(1);
    for (std::uint64_t i = 0; i < 10; ++i) lane.push(out(i), i);
    Held old = lane.take();
    lane.put_back(lane.take(), t0);
    lane.finished(old);  // sent before the trouble: proves nothing
    Held alone = lane.take();
    EXPECT_FALSE(lane.ready(later));
    lane.finished(alone);
    Held first = lane.take();
    ASSERT_TRUE(lane.ready(later));
    Held second = lane.take();
    EXPECT_FALSE(lane.ready(later));
    lane.finished(first);
    lane.finished(second);
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(lane.ready(later)) << i;
        static_cast<void>(lane.take());
    }
}

TEST(LaneQueue, untake_changes_nothing) {
    LaneQueue lane(1);
    lane.push(out(1), 1);
    lane.push(out(2), 2);
    lane.untake(lane.take());
    ASSERT_TRUE(lane.ready(t0));
    EXPECT_EQ(lane.take().out.tag, 1U);
    EXPECT_TRUE(lane.ready(t0));
}

}  // namespace
}  // namespace sluice::bridge
