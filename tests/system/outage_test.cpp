/// What can go wrong between broker and upstream, under load.
#include "tests/support/wrong_clock.hpp"
#include "tests/system/outage_fixture.hpp"

namespace sluice::test {
namespace {

class Outage : public OutageFixture, public ::testing::WithParamInterface<const char*> {
  protected:
    void SetUp() override { use(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Upstreams, Outage, ::testing::Values("kafka_real", "amqp"),
                         [](const auto& parameter) { return parameter.param; });

TEST_P(Outage, broker_is_killed_while_it_drains) {
    spool_ = "drain_rate = 1000\ninflight_max = 50";
    start_broker();
    publish_for(Milliseconds(300));
    peer_->freeze();
    publish_for(Milliseconds(2500));
    const auto backlog = bridge_status(broker_).value("spool_messages", std::uint64_t{0});
    ASSERT_GT(backlog, 1000U);
    peer_->thaw();
    for (const auto left : {backlog * 2 / 3, backlog / 3}) {
        ASSERT_TRUE(wait_spool_below(left)) << bridge_status(broker_).dump();
        kill_broker();
        start_broker();
        EXPECT_GT(bridge_status(broker_).value("spool_messages", 0), 0) << "it was killed too late";
    }
    finish();
    expect_everything_arrived();
}

/// The gateway starts with the time of its last shutdown, nine days ago, and takes messages in; a message may
/// wait for seven. Then NTP sets the clock.
TEST_P(Outage, clock_is_set_while_messages_wait) {
    spool_ = "inflight_max = 50";
    WrongClock clock(folder_.path(), SLUICE_BINARY_DIR "/tests/clock_layer.so", -std::chrono::hours(24 * 9));
    start_broker();
    publish_for(Milliseconds(300));
    peer_->freeze();
    publish_for(Milliseconds(1500));
    clock.set(Milliseconds(0));
    ASSERT_TRUE(broker_.wait_for_log("clock: it was set forward by 7776")) << broker_.log();
    publish_for(Milliseconds(300));
    kill_broker();
    start_broker();
    EXPECT_GT(bridge_status(broker_).value("spool_messages", 0), 1000);
    EXPECT_LT(bridge_status(broker_).value("oldest_age_s", 1e9), 600.0);
    peer_->thaw();
    finish();
    EXPECT_EQ(bridge_status(broker_).value("dropped_expired", -1), 0) << bridge_status(broker_).dump();
    expect_everything_arrived();
}

TEST_P(Outage, upstream_is_killed_and_comes_back_under_load) {
    start_broker();
    publish_for(Milliseconds(500));
    under_load([&] {
        peer_->down();
        expect_state(Expected::away);
        peer_->up();
        expect_state(Expected::up);
    });
    finish();
    expect_everything_arrived();
}

TEST_P(Outage, upstream_is_stopped_for_longer_than_the_confirm_timeout) {
    interrupt([&] { peer_->freeze(); }, [&] { peer_->thaw(); });
    expect_everything_arrived();
}

TEST_P(Outage, upstream_answers_slowly) {
    start_broker();
    publish_for(Milliseconds(300));
    under_load([&] {
        for (int i = 0; i < 8; ++i) {
            peer_->freeze();
            std::this_thread::sleep_for(Milliseconds(600));
            peer_->thaw();
            std::this_thread::sleep_for(Milliseconds(100));
        }
    });
    finish();
    EXPECT_EQ(broker_.log().find("not connected"), std::string::npos)
        << "slow is not dead: " << broker_.log();
    const auto all = expect_everything_arrived();
    for (const auto& [publisher, came] : all) EXPECT_EQ(came.duplicated, 0U) << publisher;
}

TEST_P(Outage, packets_vanish_between_broker_and_upstream) {
    const auto way = peer_->frail_way();
    if (way.network_namespace.empty())
        GTEST_SKIP() << "this machine gives us no network namespace with a veth (are we root?)";
    server_ = way.address;
    {
        const InNamespace inside(way.network_namespace);
        interrupt([&] { peer_->ask("cut"); }, [&] { peer_->ask("mend"); });
    }
    expect_everything_arrived();
}

}  // namespace
}  // namespace sluice::test
