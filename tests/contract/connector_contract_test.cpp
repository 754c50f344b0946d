/// The contract of bridge/connector.hpp, run against every connector and its peer.
#include <algorithm>
#include <set>

#include "tests/contract/connector_fixture.hpp"

namespace sluice::bridge::test {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

class ConnectorContract : public ConnectorFixture, public ::testing::WithParamInterface<std::string> {
  protected:
    void SetUp() override {
        if (!use(GetParam())) GTEST_SKIP() << why_;
    }
    /// Payload "<lane>:<number>", so that a receiver can tell lanes and order.
    void publish_numbers(std::uint32_t lane, int from, int to) {
        for (int i = from; i < to; ++i)
            feeder_.publish_text(lane, "plant/a/telemetry", std::to_string(lane) + ":" + std::to_string(i));
    }
    /// First arrivals only: after trouble the upstream may have some twice, but never in another order.
    static std::vector<std::string> first_arrivals(const std::vector<Received>& all, std::uint32_t lane) {
        std::vector<std::string> result;
        std::set<std::string> seen;
        for (const auto& received : all) {
            if (!received.payload.starts_with(std::to_string(lane) + ":")) continue;
            if (seen.insert(received.payload).second) result.push_back(received.payload);
        }
        return result;
    }
    static std::vector<std::string> expected(std::uint32_t lane, int count) {
        std::vector<std::string> result;
        for (int i = 0; i < count; ++i) result.push_back(std::to_string(lane) + ":" + std::to_string(i));
        return result;
    }
    std::size_t delivered() {
        return feeder_.read([&] {
            return static_cast<std::size_t>(
                std::count_if(feeder_.confirmed_.begin(), feeder_.confirmed_.end(),
                              [](const auto& e) { return e.second.outcome == Outcome::delivered; }));
        });
    }
};

TEST_P(ConnectorContract, delivers_confirms_and_keeps_the_order_of_each_lane) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    for (int i = 0; i < 300; ++i) {
        publish_numbers(0, i, i + 1);
        publish_numbers(1, i, i + 1);
    }
    ASSERT_TRUE(feeder_.wait_confirmed(600));
    EXPECT_EQ(delivered(), 600U);
    const auto all = peer_->receive(place_, 600);
    EXPECT_EQ(all.size(), 600U);
    EXPECT_EQ(first_arrivals(all, 0), expected(0, 300));
    EXPECT_EQ(first_arrivals(all, 1), expected(1, 300));
}

TEST_P(ConnectorContract, an_empty_payload_arrives_as_an_empty_payload) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/a", "");
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    const auto all = peer_->receive(place_, 1);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_TRUE(all[0].has_payload);
    EXPECT_EQ(all[0].payload, "");
}

TEST_P(ConnectorContract, after_an_outage_everything_unconfirmed_comes_again_and_nothing_is_lost) {
    start_at_place();
    peer_->settle();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 0, 200);
    peer_->down();
    publish_numbers(0, 200, 400);
    ASSERT_TRUE(feeder_.wait_down()) << "the outage was not seen";
    EXPECT_FALSE(last_down().empty());
    publish_numbers(0, 400, 500);
    peer_->up();
    ASSERT_TRUE(feeder_.wait_confirmed(500)) << last_down();
    EXPECT_EQ(delivered(), 500U);
    EXPECT_EQ(first_arrivals(peer_->receive(place_, 500), 0), expected(0, 500));
}

TEST_P(ConnectorContract, a_frozen_peer_is_noticed_and_loses_nothing) {
    if (const auto why = peer_->why_not_frozen(); !why.empty()) GTEST_SKIP() << why;
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 0, 10);
    ASSERT_TRUE(feeder_.wait_confirmed(10));
    peer_->freeze();
    publish_numbers(0, 10, 100);
    EXPECT_TRUE(feeder_.wait_down()) << "the frozen peer was not noticed";
    peer_->thaw();
    ASSERT_TRUE(feeder_.wait_confirmed(100)) << last_down();
    EXPECT_EQ(first_arrivals(peer_->receive(place_, 100), 0), expected(0, 100));
}

TEST_P(ConnectorContract, down_at_start_then_up) {
    peer_->configure_place(settings_, place_);
    peer_->settle();
    peer_->down();
    start();
    publish_numbers(0, 0, 20);
    EXPECT_TRUE(feeder_.wait_down(1)) << "each failed attempt is to be told";
    EXPECT_EQ(feeder_.read([&] { return feeder_.ups_; }), 0U);
    peer_->up();
    ASSERT_TRUE(feeder_.wait_confirmed(20)) << last_down();
    EXPECT_EQ(first_arrivals(peer_->receive(place_, 20), 0), expected(0, 20));
}

TEST_P(ConnectorContract, what_is_refused_has_a_reason_and_holds_nothing_up) {
    peer_->configure_refusal(settings_, place_);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/a", "0:0");
    feeder_.publish_text(0, "plant/refused", std::string(4000, 'x'));
    feeder_.publish_text(0, "plant/a", "0:1");
    ASSERT_TRUE(feeder_.wait_confirmed(3)) << last_down();
    const auto refused = feeder_.read([&] { return feeder_.confirmed_.at({0, 2}); });
    EXPECT_EQ(refused.outcome, Outcome::refused);
    EXPECT_FALSE(refused.reason.empty());
    EXPECT_EQ(delivered(), 2U);
    EXPECT_EQ(first_arrivals(peer_->receive(place_, 2), 0), expected(0, 2));
}

TEST_P(ConnectorContract, an_offer_of_another_epoch_is_ignored) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    const auto epoch = feeder_.read([&] { return feeder_.epoch_; });
    core::Message::Fields fields;
    fields.topic = "plant/a";
    fields.payload = as_bytes("9:9");
    const auto message = core::Message::freeze(fields);
    connector_->offer(epoch + 1000, {{9, 0, 1, false, 1, message}});
    connector_->offer(0, {{9, 0, 2, false, 2, message}});
    publish_numbers(0, 0, 5);
    ASSERT_TRUE(feeder_.wait_confirmed(5));
    EXPECT_EQ(peer_->receive(place_, 5).size(), 5U);
}

TEST_P(ConnectorContract, stop_under_load_returns_in_time_and_no_event_follows) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 0, 2000);
    const auto begin = Steady::now();
    connector_->stop(milliseconds(200));
    EXPECT_LT(Steady::now() - begin, milliseconds(200) + std::chrono::seconds(5));
    const auto events = feeder_.read([&] { return feeder_.events_; });
    publish_numbers(0, 2000, 2100);
    EXPECT_FALSE(feeder_.wait([&] { return feeder_.events_ != events; }, milliseconds(200)));
}

TEST_P(ConnectorContract, stop_while_the_peer_is_frozen_returns_in_time) {
    if (const auto why = peer_->why_not_frozen(); !why.empty()) GTEST_SKIP() << why;
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    peer_->freeze();
    for (int i = 0; i < 100; ++i) feeder_.publish_text(0, "plant/a", std::string(1500, 'x'));
    const auto begin = Steady::now();
    connector_->stop(milliseconds(200));
    const auto took = Steady::now() - begin;
    peer_->thaw();
    EXPECT_LT(took, milliseconds(200) + std::chrono::seconds(5));
}

TEST_P(ConnectorContract, what_cannot_be_reached_is_named) {
    peer_->configure_place(settings_, place_);
    const std::string name = peer_->configure_unreachable(settings_);
    start();
    ASSERT_TRUE(feeder_.wait_down());
    EXPECT_NE(last_down().find(name), std::string::npos) << last_down();
}

TEST_P(ConnectorContract, a_value_of_bad_form_is_refused_by_create_with_place_and_expectation) {
    peer_->configure_place(settings_, place_);
    const std::string key = peer_->configure_malformed(settings_);
    const auto created = settings_.module->create(settings_.spec);
    ASSERT_FALSE(created.ok());
    EXPECT_NE(created.error().find("test.toml:1: " + key), std::string::npos) << created.error();
    EXPECT_NE(created.error().find("expected"), std::string::npos) << created.error();
}

INSTANTIATE_TEST_SUITE_P(peers, ConnectorContract,
                         ::testing::Values("kafka", "kafka_real", "kafka_once", "kafka_real_once", "amqp",
                                           "amqp1", "mqtt", "file"),
                         [](const auto& parameter) { return parameter.param; });

}  // namespace
}  // namespace sluice::bridge::test
