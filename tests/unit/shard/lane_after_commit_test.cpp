// What a lane delivers before our own disk has it: a crash then makes the publisher, who has no
// acknowledgement, send again what is upstream already. A lane can ask for what is durable only
// (LinkSpec::after_commit).
#include "tests/unit/shard/turn_fixture.hpp"

namespace sluice::shard::test {
namespace {

using wire::QoS;

/// Writes down the rows that it gets; its upstream is up from the first note on.
class RowsLink final : public Link {
  public:
    RowsLink(LinkHost& host, std::vector<core::RowId>& rows) : host_(host), rows_(rows) {}
    Delivered deliver(const core::Send& send) override {
        rows_.push_back(send.row);
        return Delivered::taken;
    }
    void flush(Now) override {}
    void end(wire::ReasonCode) override {}
    void on_note(LinkNote note) override {
        if (std::holds_alternative<UpstreamUp>(note)) host_.attach_link(1, 100);
        if (std::holds_alternative<UpstreamDown>(note)) host_.detach_link(1);
    }

  private:
    LinkHost& host_;
    std::vector<core::RowId>& rows_;
};

class LaneAfterCommit : public TurnByTurn {
  protected:
    void add_lane(bool after_commit) {
        LinkSpec spec;
        spec.number = 1;
        spec.client_id = "$bridge/plant/0/0";
        core::SubscriptionOptions options;
        options.qos = QoS::at_least_once;
        options.at_least_once = true;
        spec.subscriptions.push_back({"up/#", options});
        spec.after_commit = after_commit;
        spec.make = [this](LinkHost& host) { return std::make_unique<RowsLink>(host, rows_); };
        shard().post_link(std::move(spec));
        run();
        commit();
    }
    void up() {
        shard().post_note(1, UpstreamUp{1});
        run();
    }
    void publish(wire::PacketId id) {
        publisher_.publish("up/x", QoS::at_least_once, id);
        run();
    }
    std::vector<core::RowId> rows_;
    QuietPeer publisher_{shard(), "publisher"};
};

TEST_F(LaneAfterCommit, WithoutItMessagesGoUpAtOnce) {
    add_lane(false);
    up();
    publish(1);
    EXPECT_EQ(rows_.size(), 1U);
}

TEST_F(LaneAfterCommit, WithItTheyGoUpWhenTheyAreOnDisk) {
    add_lane(true);
    up();
    publish(1);
    publish(2);
    EXPECT_EQ(rows_.size(), 0U) << "a crash now would lose them here and not there";
    commit();
    ASSERT_EQ(rows_.size(), 2U);
    EXPECT_LT(rows_[0], rows_[1]);
}

TEST_F(LaneAfterCommit, WhatTheUpstreamFindsWaitingIsOnDiskTooOrWaits) {
    add_lane(true);
    publish(1);
    up();
    EXPECT_EQ(rows_.size(), 0U) << "its commit is still under way";
    commit();
    EXPECT_EQ(rows_.size(), 1U);
    shard().post_note(1, UpstreamDown{"gone"});
    run();
    commit();
    up();
    EXPECT_EQ(rows_.size(), 2U) << "on disk for long: nothing will be committed that it could wait for";
}

}  // namespace
}  // namespace sluice::shard::test
