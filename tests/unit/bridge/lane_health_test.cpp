/// How a bridge does, from how its lanes do.
#include "bridge/lane_health.hpp"

#include <gtest/gtest.h>

namespace sluice::bridge {
namespace {

using shard::BridgeState;
using Lanes = std::vector<LaneHealth>;
using Routes = std::vector<std::string_view>;

constexpr UpstreamHealth up{.up = true, .stalled = false, .confirm_rate = 100};
constexpr UpstreamHealth held_up{.up = true, .stalled = true, .confirm_rate = 100};
constexpr UpstreamHealth away{};

core::QueueBounds bounds() {
    core::QueueBounds bounds;
    bounds.messages_max = 1000;
    bounds.bytes_max = 1'000'000;
    return bounds;
}
LaneHealth lane(std::string_view route, std::uint64_t messages, std::int64_t silent_ms) {
    return {.route = route, .messages = messages, .bytes = messages, .silent_ms = silent_ms};
}
BridgeState state(const Lanes& lanes, const UpstreamHealth& upstream = up) {
    return judge(lanes, bounds(), upstream).state;
}

TEST(LaneHealth, a_full_and_silent_route_does_not_hide_behind_a_busy_one) {
    const auto judged = judge(Lanes{lane("a", 1000, 60'000), lane("b", 10, 20)}, bounds(), up);
    EXPECT_EQ(judged.state, BridgeState::full);
    EXPECT_EQ(judged.routes, Routes{"a"});
}

TEST(LaneHealth, nor_does_a_silent_one) {
    const auto judged =
        judge(Lanes{lane("b", 10, 20), lane("a", 5, 15'001), lane("a", 5, 60'000)}, bounds(), up);
    EXPECT_EQ(judged.state, BridgeState::stalled);
    EXPECT_EQ(judged.routes, Routes{"a"}) << "once, although on two shards";
    EXPECT_EQ(state({lane("b", 10, 20), lane("a", 5, 15'000)}), BridgeState::progressing);
}

TEST(LaneHealth, a_lane_that_has_nothing_to_send_is_not_silent) {
    EXPECT_EQ(state({lane("a", 0, 3'600'000), lane("b", 1, 20)}), BridgeState::progressing);
    EXPECT_EQ(state({lane("a", 0, 3'600'000)}), BridgeState::connected);
    EXPECT_EQ(state({}), BridgeState::connected) << "of a bridge that only receives";
}

TEST(LaneHealth, a_full_lane_that_gets_on_is_no_alarm) {
    EXPECT_EQ(state({lane("a", 1000, 20)}), BridgeState::progressing);
    EXPECT_EQ(state({lane("a", 1000, 20)}, held_up), BridgeState::blocked);
    EXPECT_EQ(state({lane("a", 1000, 20'000)}, held_up), BridgeState::full);
}

TEST(LaneHealth, bytes_make_a_lane_full_a_little_earlier) {
    LaneHealth one = lane("a", 10, 20'000);
    one.bytes = 980'000;
    EXPECT_EQ(state({one}), BridgeState::full);
    one.bytes = 970'000;
    EXPECT_EQ(state({one}), BridgeState::stalled);
}

TEST(LaneHealth, without_the_upstream_only_a_full_spool_is_an_alarm) {
    EXPECT_EQ(state({lane("a", 999, 60'000)}, away), BridgeState::connecting);
    EXPECT_EQ(state({lane("a", 0, 0)}, away), BridgeState::connecting);
    const auto judged = judge(Lanes{lane("a", 1, 0), lane("b", 1000, 0)}, bounds(), away);
    EXPECT_EQ(judged.state, BridgeState::full);
    EXPECT_EQ(judged.routes, Routes{"b"});
}

TEST(LaneHealth, who_shares_a_slow_upstream_may_wait_for_a_turn) {
    constexpr UpstreamHealth slow{.up = true, .stalled = false, .confirm_rate = 0.5};
    Lanes lanes;
    for (int i = 0; i < 20; ++i) lanes.push_back(lane("a", 5, 2'000 * i));
    EXPECT_EQ(state(lanes, slow), BridgeState::progressing) << "a turn comes every 40 s";
    lanes.back().silent_ms = 81'000;
    EXPECT_EQ(state(lanes, slow), BridgeState::stalled);
    for (auto& one : lanes) one.silent_ms = 16'000;
    EXPECT_EQ(state(lanes, slow), BridgeState::stalled) << "nobody had a turn";
}

TEST(LaneHealth, names_the_first_few_routes) {
    EXPECT_EQ(describe_routes({}), "");
    EXPECT_EQ(describe_routes(Routes{"a"}), "route 'a'");
    EXPECT_EQ(describe_routes(Routes{"a", "b"}), "routes 'a', 'b'");
    EXPECT_EQ(describe_routes(Routes{"a", "b", "c", "d", "e"}), "routes 'a', 'b', 'c' and 2 more");
}

LaneHealth moving(std::uint64_t messages, double arrival_rate, double leave_rate) {
    LaneHealth one = lane("a", messages, 0);
    one.arrival_rate = arrival_rate;
    one.leave_rate = leave_rate;
    return one;
}

TEST(LaneForecast, is_full_when_the_first_lane_is) {
    // Eight lanes, of which one has all the traffic.
    Lanes lanes(7, moving(0, 0, 0));
    lanes.push_back(moving(100, 0.5, 0.25));
    EXPECT_DOUBLE_EQ(forecast(lanes, bounds()).full_in_s, 900 / 0.25);
    lanes.push_back(moving(100, 1, 0));
    EXPECT_DOUBLE_EQ(forecast(lanes, bounds()).full_in_s, 900) << "and not at the sum of the rates";
    EXPECT_EQ(forecast(lanes, bounds()).empty_in_s, -1);
    lanes.push_back(moving(1000, 1, 0));
    EXPECT_EQ(forecast(lanes, bounds()).full_in_s, 0);
}

TEST(LaneForecast, the_bound_of_bytes_may_come_first) {
    LaneHealth one = moving(100, 1, 0);
    one.bytes = 500'000;
    EXPECT_DOUBLE_EQ(forecast(Lanes{one}, bounds()).full_in_s, 100);
}

TEST(LaneForecast, is_empty_when_the_last_lane_is) {
    EXPECT_DOUBLE_EQ(forecast(Lanes{moving(100, 0, 1), moving(900, 0, 3)}, bounds()).empty_in_s, 300);
    const auto mixed = forecast(Lanes{moving(100, 0, 1), moving(100, 1, 0)}, bounds());
    EXPECT_EQ(mixed.empty_in_s, -1) << "while another one fills up";
    EXPECT_DOUBLE_EQ(mixed.full_in_s, 900);
}

TEST(LaneForecast, what_only_passes_through_says_nothing) {
    const auto one = forecast(Lanes{moving(9, 10, 9.9), moving(100, 0, 1)}, bounds());
    EXPECT_EQ(one.full_in_s, -1);
    EXPECT_DOUBLE_EQ(one.empty_in_s, 100);
    EXPECT_EQ(forecast(Lanes{moving(100, 1, 1)}, bounds()).full_in_s, -1);
    EXPECT_EQ(forecast({}, bounds()).empty_in_s, -1);
}

}  // namespace
}  // namespace sluice::bridge
