/// Lane: what it offers to the upstream, and how fast. Time and shard are the test's.
#include "bridge/lane.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "tests/unit/bridge/messages.hpp"

namespace sluice::bridge {
namespace {

using test::sample;

constexpr shard::LinkNumber number = 7;
constexpr std::uint64_t epoch = 3;
constexpr auto tick = Millis(50);  // as the shard's lane_tick

/// A shard with one lane, whose session has a backlog without end, and an upstream that takes everything and
/// confirms it at the next tick.
class FakeShard final : public shard::LinkHost, public Upstream {
  public:
    explicit FakeShard(std::uint32_t drain_rate, std::uint16_t inflight_max = 1000)
        : FakeShard(std::make_shared<DrainPace>(drain_rate), inflight_max) {}
    explicit FakeShard(std::shared_ptr<DrainPace> pace, std::uint16_t inflight_max = 1000)
        : lane_({.number = number,
                 .route = 0,
                 .inflight_max = inflight_max,
                 .pace = std::move(pace),
                 .label = "bridge 'test'"},
                *this, std::shared_ptr<Upstream>(std::shared_ptr<void>(), this), stats_) {}

    Now now() override { return now_; }
    void attach_link(shard::LinkNumber /*link*/, std::uint16_t quota) override { quota_ = quota; }
    void detach_link(shard::LinkNumber /*link*/) override { quota_ = 0; }
    void confirm(shard::LinkNumber /*link*/, wire::PacketId /*packet_id*/) override {
        --in_flight_;
        --backlog_;
    }
    void refuse(shard::LinkNumber /*link*/, wire::PacketId /*packet_id*/) override {
        ++refused_;
        --in_flight_;
        --backlog_;
    }
    bool give(shard::LinkNumber /*to*/, const core::MessagePtr& /*message*/) override { return false; }
    void read_queue(shard::LinkNumber /*link*/, core::RowId /*after*/) override {}
    void forget(shard::LinkNumber /*link*/, const core::QueueEntry& /*entry*/) override {}
    core::RowId newest_row() override { return 0; }
    void offer(std::uint64_t /*epoch*/, std::vector<Outgoing> batch) override {
        offered_ += batch.size();
        for (const Outgoing& outgoing : batch) tags_.push_back(outgoing.tag);
    }

    void up(std::size_t backlog) {
        backlog_ = backlog;
        lane_.on_note(shard::UpstreamUp{epoch});
        end_turn();
    }
    /// The upstream answers, the clock goes on, the lane is ticked.
    void step(Millis passed = tick) {
        now_.mono += passed;
        now_.wall += passed;
        shard::UpstreamConfirmed note;
        if (!silent_)
            for (const std::uint64_t tag : std::exchange(tags_, {})) note.confirms.push_back({tag, true, {}});
        if (!note.confirms.empty()) lane_.on_note(std::move(note));
        end_turn();
    }
    void confirms_nothing() { silent_ = true; }
    void ticks() {
        lane_.on_tick(now_);
        end_turn();
    }
    /// What is in flight is delivered again after this.
    void goes_away_for(Millis time) {
        lane_.on_note(shard::UpstreamDown{"away"});
        now_.mono += time;
        now_.wall += time;
        repeats_ = std::exchange(in_flight_, 0);
        tags_.clear();
        lane_.on_note(shard::UpstreamUp{epoch + 1});
        end_turn();
    }
    void expires_after(std::uint32_t seconds) { message_ = sample("", "a", seconds, now_.wall); }
    void arrives(std::size_t messages) { backlog_ += messages; }
    void end_turn() {
        while (quota_ > in_flight_ && in_flight_ < backlog_) {
            core::Send send;
            send.packet_id = next_id_++;
            if (next_id_ == 0) next_id_ = 1;
            send.message = message_;
            send.dup = repeats_ > 0;
            if (repeats_ > 0) --repeats_;
            ++in_flight_;
            ASSERT_EQ(lane_.deliver(send), shard::Link::Delivered::taken);
        }
        lane_.on_backlog({.messages = backlog_, .bytes = backlog_, .oldest = {}});
        lane_.flush(now_);
    }

    void pause(bool paused) { lane_.on_note(shard::LinkPaused{paused}); }
    void passes(Millis time) { now_.mono += time; }
    /// How long the upstream has been silent although it had something to say.
    Millis silence() const {
        return Millis(now_.mono.time_since_epoch().count() - stats_->progress_mono_ms.load());
    }
    std::uint64_t offered() const { return offered_; }
    std::uint64_t refused() const { return refused_; }
    std::uint64_t expired() const { return stats_->dropped_expired; }
    std::size_t backlog() const { return backlog_; }

  private:
    core::MessagePtr message_ = sample();
    Now now_{MonoTime(Millis(1'000'000)), WallTime(Millis(1'700'000'000'000))};
    const std::shared_ptr<LaneStats> stats_ = std::make_shared<LaneStats>();
    std::vector<std::uint64_t> tags_;  // offered and not yet confirmed
    std::size_t in_flight_ = 0;        // as the session has it
    std::size_t repeats_ = 0;          // of the next ones, were in flight before
    std::size_t backlog_ = 0;
    bool silent_ = false;
    std::uint16_t quota_ = 0;
    wire::PacketId next_id_ = 1;
    std::uint64_t offered_ = 0, refused_ = 0;
    Lane lane_;
};

constexpr std::size_t endless = 1'000'000;

/// Messages a second while catching up, over so many seconds, with ticks that come late by so much in turn.
double paced(std::uint32_t rate, int seconds, const std::vector<int>& late_ms) {
    FakeShard shard(rate);
    shard.up(endless);
    Millis passed{0};
    for (std::size_t i = 0; passed < std::chrono::seconds(seconds); ++i) {
        const Millis step = tick + Millis(late_ms[i % late_ms.size()]);
        shard.step(step);
        passed += step;
    }
    return static_cast<double>(shard.offered()) * 1000 / static_cast<double>(passed.count());
}

TEST(LanePacing, holds_the_rate_within_a_tenth_whatever_it_is) {
    for (const std::uint32_t rate : {2U, 3U, 7U, 19U, 21U, 50U, 333U, 5000U, 15'000U})
        EXPECT_NEAR(paced(rate, 60, {0}), rate, rate * 0.1) << rate;
}

TEST(LanePacing, holds_the_rate_when_ticks_come_late) {
    for (const std::uint32_t rate : {3U, 50U, 5000U})
        EXPECT_NEAR(paced(rate, 60, {0, 3, 40, 1, 100}), rate, rate * 0.1) << rate;
}

TEST(LanePacing, each_second_has_its_share) {
    for (const std::uint32_t rate : {50U, 5000U}) {
        FakeShard shard(rate);
        shard.up(endless);
        std::uint64_t before = 0;
        for (int second = 0; second < 20; ++second) {
            for (int i = 0; i < 20; ++i) shard.step();
            EXPECT_NEAR(static_cast<double>(shard.offered() - before), rate, rate * 0.1);
            before = shard.offered();
        }
    }
}

TEST(LanePacing, a_pause_does_not_end_in_a_burst) {
    FakeShard shard(5000, 60'000);  // the window is not what limits
    shard.up(endless);
    shard.step();
    const std::uint64_t before = shard.offered();
    shard.step(Millis(10'000));
    EXPECT_LE(shard.offered() - before, 5000U / 5 + 1);
}

TEST(LanePacing, coming_up_does_not_begin_with_a_burst) {
    FakeShard shard(5000);
    shard.up(endless);
    EXPECT_EQ(shard.offered(), 0U);
}

TEST(LanePacing, without_a_rate_the_window_is_the_limit) {
    FakeShard shard(0, 300);
    shard.up(endless);
    EXPECT_EQ(shard.offered(), 300U);
    shard.step();
    EXPECT_EQ(shard.offered(), 600U);
}

TEST(LanePacing, the_rate_ends_with_the_backlog) {
    FakeShard shard(50);
    shard.up(10);
    for (int i = 0; i < 10; ++i) shard.step();  // half a second: all ten, and their confirms
    ASSERT_EQ(shard.backlog(), 0U);
    shard.arrives(200);
    shard.end_turn();
    EXPECT_EQ(shard.offered(), 210U);
}

/// Messages that the lanes of one bridge offer in so many seconds.
std::uint64_t offered_by_all(std::vector<std::unique_ptr<FakeShard>>& shards, int seconds) {
    std::uint64_t before = 0, after = 0;
    for (const auto& shard : shards) before += shard->offered();
    for (int i = 0; i < 20 * seconds; ++i)
        for (const auto& shard : shards) shard->step();
    for (const auto& shard : shards) after += shard->offered();
    return after - before;
}

TEST(LanePacing, the_lanes_of_a_bridge_share_the_rate) {
    for (const std::uint32_t rate : {9U, 50U, 5000U}) {
        const auto pace = std::make_shared<DrainPace>(rate);
        std::vector<std::unique_ptr<FakeShard>> shards;
        for (int i = 0; i < 8; ++i) shards.push_back(std::make_unique<FakeShard>(pace));
        for (const auto& shard : shards) shard->up(endless);
        EXPECT_NEAR(static_cast<double>(offered_by_all(shards, 60)), rate * 60.0, rate * 6.0) << rate;
        for (const auto& shard : shards)
            EXPECT_NEAR(static_cast<double>(shard->offered()), rate * 60.0 / 8, rate * 60.0 / 16) << rate;
    }
}

TEST(LanePacing, who_has_caught_up_or_is_paused_or_is_gone_leaves_the_rate_to_the_others) {
    const auto pace = std::make_shared<DrainPace>(1000);
    std::vector<std::unique_ptr<FakeShard>> shards;
    for (int i = 0; i < 4; ++i) shards.push_back(std::make_unique<FakeShard>(pace));
    shards[0]->up(endless);
    shards[1]->up(10);
    shards[2]->up(endless);
    shards[3]->up(endless);
    offered_by_all(shards, 1);
    shards[2]->pause(true);
    shards.pop_back();
    EXPECT_NEAR(static_cast<double>(offered_by_all(shards, 10)), 10'000.0, 1000.0);
    EXPECT_GT(shards[0]->offered(), 9000U);
    shards[2]->pause(false);
    EXPECT_NEAR(static_cast<double>(offered_by_all(shards, 10)), 10'000.0, 1000.0);
    EXPECT_GT(shards[2]->offered(), 4000U);
}

TEST(LanePacing, a_lane_whose_upstream_takes_nothing_leaves_its_part_to_the_others) {
    const auto pace = std::make_shared<DrainPace>(1000);
    std::vector<std::unique_ptr<FakeShard>> shards;
    for (int i = 0; i < 2; ++i) shards.push_back(std::make_unique<FakeShard>(pace, 100));
    for (const auto& shard : shards) shard->up(endless);
    shards[1]->confirms_nothing();
    offered_by_all(shards, 3);
    EXPECT_NEAR(static_cast<double>(offered_by_all(shards, 10)), 10'000.0, 1000.0);
}

TEST(LaneSilence, begins_when_there_is_something_to_confirm) {
    FakeShard shard(0);
    shard.up(0);
    shard.passes(Millis(3'600'000));
    shard.end_turn();
    shard.arrives(1);
    shard.end_turn();
    EXPECT_EQ(shard.silence(), Millis(0)) << "an hour without messages is no silence";
    shard.passes(Millis(20'000));
    shard.arrives(1);
    shard.end_turn();
    EXPECT_EQ(shard.silence(), Millis(20'000)) << "and more messages do not end it";
}

TEST(LaneSilence, is_not_the_upstreams_while_the_rate_holds_back) {
    const auto pace = std::make_shared<DrainPace>(1);
    for (int i = 0; i < 39; ++i) pace->join();
    FakeShard shard(pace);
    shard.up(10);
    for (int i = 0; i < 30 * 20; ++i) shard.step();
    EXPECT_EQ(shard.offered(), 0U) << "one in 40 s is its share";
    EXPECT_EQ(shard.silence(), Millis(0));
    shard.confirms_nothing();
    for (int i = 0; i < 40 * 20; ++i) shard.step();
    EXPECT_EQ(shard.offered(), 1U);
    EXPECT_GE(shard.silence(), Millis(25'000)) << "for that one it does";
}

TEST(LaneSilence, is_not_the_upstreams_while_an_operator_pauses) {
    FakeShard shard(0);
    shard.up(0);
    shard.pause(true);
    shard.arrives(1);
    shard.end_turn();
    EXPECT_EQ(shard.offered(), 0U);
    shard.passes(Millis(60'000));
    shard.pause(false);
    EXPECT_EQ(shard.offered(), 1U);
    EXPECT_EQ(shard.silence(), Millis(0));
}

TEST(LaneExpiry, what_expired_while_it_was_under_way_is_not_sent_again) {
    FakeShard shard(0);
    shard.expires_after(60);
    shard.confirms_nothing();
    shard.up(1000);
    EXPECT_EQ(shard.offered(), 1000U);
    shard.goes_away_for(Millis(59'000));
    EXPECT_EQ(shard.offered(), 2000U) << "a second is left";
    shard.goes_away_for(Millis(1'000));
    EXPECT_EQ(shard.offered(), 2000U);
    shard.ticks();
    EXPECT_EQ(shard.expired(), 1000U);
    EXPECT_EQ(shard.refused(), 1000U) << "a publisher that waits for the upstream hears of it";
    EXPECT_EQ(shard.backlog(), 0U);
}

TEST(LaneExpiry, an_interval_of_0_is_for_who_is_there_now) {
    FakeShard shard(0);
    shard.expires_after(0);
    shard.confirms_nothing();
    shard.up(10);
    EXPECT_EQ(shard.offered(), 10U);
    shard.goes_away_for(Millis(0));
    EXPECT_EQ(shard.offered(), 10U);
}

TEST(LaneExpiry, an_upstream_that_goes_again_before_the_tick_settles_nothing_twice) {
    FakeShard shard(0);
    shard.expires_after(60);
    shard.up(10);
    shard.goes_away_for(Millis(60'000));
    shard.goes_away_for(Millis(0));
    shard.ticks();
    shard.ticks();
    EXPECT_EQ(shard.expired(), 10U);
    EXPECT_EQ(shard.backlog(), 0U);
}

TEST(LaneExpiry, what_waits_for_the_drain_rate_may_expire_there) {
    FakeShard shard(10);
    shard.expires_after(60);
    shard.up(1000);
    for (int i = 0; i < 59 * 20; ++i) shard.step();
    EXPECT_NEAR(static_cast<double>(shard.offered()), 590, 60);
    shard.step(Millis(1'000));
    const auto offered = shard.offered();
    for (int i = 0; i < 100 * 20; ++i) {
        shard.ticks();
        shard.step();
    }
    EXPECT_EQ(shard.offered(), offered);
    EXPECT_EQ(shard.backlog(), 0U);
}

}  // namespace
}  // namespace sluice::bridge
