/// Exchanges that are missing or forbidden: what is written out in a route is waited for, what a message
/// names is not, and no route waits for another.
#include "tests/contract/amqp_fixture.hpp"

namespace sluice::bridge::test {
namespace {

TEST_F(AmqpConnector, what_names_a_missing_exchange_is_refused_and_the_rest_goes_on) {
    peer_->configure_place(settings_, place_);
    settings_.spec.routes.push_back({"x/#", "test.toml:9", settings_.module->make_route_settings()});
    settings_.route("exchange", place_ + "-{topic[1]}", 1);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    core::Message::Fields fields;
    fields.topic = "x/y";
    for (int i = 0; i < 5; ++i) feeder_.publish(1, 1, core::Message::freeze(fields));
    publish_numbers(0, 50);
    ASSERT_TRUE(feeder_.wait_confirmed(55)) << last_down();
    for (std::uint64_t tag = 1; tag <= 5; ++tag) {
        EXPECT_EQ(confirm_of(tag, 1).outcome, Outcome::refused);
        EXPECT_EQ(confirm_of(tag, 1).reason.find("404 NOT_FOUND - no exchange '" + place_ + "-y'"), 0U)
            << confirm_of(tag, 1).reason;
    }
    for (std::uint64_t tag = 6; tag <= 55; ++tag) EXPECT_EQ(confirm_of(tag).outcome, Outcome::delivered);
    EXPECT_EQ(downs(), 1U) << "the channel was closed once";
}

TEST_F(AmqpConnector, a_routing_key_that_is_not_for_us_is_refused_and_the_rest_goes_on) {
    peer_->configure_place(settings_, place_);
    ASSERT_EQ(peer_->ask("ctl set_topic_permissions guest amq.topic '^(?!.*bad).*' .*").substr(0, 2), "ok");
    start();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/bad", "x");
    publish_numbers(0, 20);
    feeder_.publish_text(0, "plant/bad", "x");
    const bool all = feeder_.wait_confirmed(22);
    EXPECT_EQ(peer_->ask("ctl clear_topic_permissions guest").substr(0, 2), "ok");
    ASSERT_TRUE(all) << last_down();
    for (std::uint64_t tag = 1; tag <= 22; ++tag)
        EXPECT_EQ(confirm_of(tag).outcome, tag == 1 || tag == 22 ? Outcome::refused : Outcome::delivered)
            << tag;
    EXPECT_NE(confirm_of(1).reason.find("access to topic '" + place_ + ".plant.bad'"), std::string::npos)
        << confirm_of(1).reason;
    EXPECT_EQ(downs(), 1U) << "the channel was closed once";
}

/// Two routes: the first one's exchange is not there for us, and the second one goes on.
class AmqpWaitingRoute : public AmqpConnector {
  protected:
    void SetUp() override {
        AmqpConnector::SetUp();
        if (IsSkipped()) return;
        exchange_ = place_ + "-exchange";
        peer_->configure_place(settings_, place_);
        settings_.spec.routes.push_back({"x/#", "test.toml:9", settings_.module->make_route_settings()});
        settings_.route("exchange", exchange_, 1);
    }
    void TearDown() override {
        AmqpConnector::TearDown();
        if (!peer_) return;
        EXPECT_EQ(peer_->ask("ctl set_permissions guest .* .* .*").substr(0, 2), "ok");
    }
    void publish_to_it(int count) {
        core::Message::Fields fields;
        fields.topic = "x/y";
        for (int i = 0; i < count; ++i) feeder_.publish(1, 1, core::Message::freeze(fields));
    }
    void expect_stall(const std::string& part) {
        EXPECT_TRUE(feeder_.wait([&] {
            return !feeder_.stalls_.empty() && feeder_.stalls_.back().find(part) != std::string::npos;
        })) << last_down();
    }
    /// With other traffic going on all the time.
    void expect_confirmed_when_mended(std::size_t already,
                                      std::chrono::seconds time = std::chrono::seconds(40)) {
        const auto deadline = std::chrono::steady_clock::now() + time;
        const auto confirmed = [&] { return feeder_.read([&] { return feeder_.confirmed_.count({1, 1}); }); };
        std::size_t sent = 0;
        while (confirmed() == 0 && std::chrono::steady_clock::now() < deadline) {
            publish_numbers(0, 1);
            ASSERT_TRUE(feeder_.wait_confirmed(already + ++sent));
        }
        EXPECT_EQ(confirm_of(1, 1).outcome, Outcome::delivered) << confirm_of(1, 1).reason;
        EXPECT_TRUE(feeder_.wait([&] { return feeder_.stalls_.back().empty(); })) << "the stall did not end";
    }
    std::string exchange_;
};

TEST_F(AmqpWaitingRoute, its_exchange_is_missing) {
    start();
    ASSERT_TRUE(feeder_.wait_up());
    publish_to_it(1);
    publish_numbers(0, 50);
    ASSERT_TRUE(feeder_.wait_confirmed(50)) << last_down();
    expect_stall("NOT_FOUND - no exchange '" + exchange_ + "'");
    AmqpClient client(node_->port());
    client.make_exchange(exchange_);
    client.make_queue(exchange_, exchange_, "#");
    expect_confirmed_when_mended(50);
    EXPECT_EQ(downs(), 0U) << last_down();
}

TEST_F(AmqpWaitingRoute, its_exchange_goes_under_way) {
    AmqpClient client(node_->port());
    client.make_exchange(exchange_);
    client.make_queue(exchange_, exchange_, "#");
    start();
    ASSERT_TRUE(feeder_.wait_up());
    client.delete_exchange(exchange_);
    publish_to_it(1);
    expect_stall("NOT_FOUND - no exchange '" + exchange_ + "'");
    publish_numbers(0, 50);
    ASSERT_TRUE(feeder_.wait_confirmed(50)) << last_down();
    client.make_exchange(exchange_);
    client.make_queue(exchange_, exchange_, "#");
    expect_confirmed_when_mended(50);
    EXPECT_EQ(downs(), 1U) << "the channel was closed once";
}

TEST_F(AmqpWaitingRoute, its_exchange_may_not_be_written) {
    AmqpClient client(node_->port());
    client.make_exchange(exchange_);
    client.make_queue(exchange_, exchange_, "#");
    ASSERT_EQ(peer_->ask("ctl set_permissions guest .* '^(?!.*-exchange$).*' .*").substr(0, 2), "ok");
    start();
    ASSERT_TRUE(feeder_.wait_up());
    publish_to_it(1);
    expect_stall("ACCESS_REFUSED");
    publish_numbers(0, 50);
    ASSERT_TRUE(feeder_.wait_confirmed(50)) << last_down();
    EXPECT_EQ(downs(), 1U) << "the channel was closed once";
    ASSERT_EQ(peer_->ask("ctl set_permissions guest .* .* .*").substr(0, 2), "ok");
    expect_confirmed_when_mended(50, std::chrono::seconds(90));  // asked for once a minute
    EXPECT_EQ(downs(), 1U) << last_down();
}

}  // namespace
}  // namespace sluice::bridge::test
