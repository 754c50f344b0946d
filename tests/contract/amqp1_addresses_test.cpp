/// Addresses that the AMQP 1.0 server does not have, or not for us: what is waited for, and what is given up.
#include "tests/contract/amqp1_fixture.hpp"

namespace sluice::bridge::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Steady = std::chrono::steady_clock;

class Amqp1Addresses : public Amqp1Fixture {
  protected:
    /// Of two routes: one makes addresses of messages, lane 1 goes to `literal`.
    void start_both(const std::string& literal) {
        settings_.route("address", place_ + ".{topic[1]}");
        settings_.spec.routes.push_back({"x/#", "test.toml:9", settings_.module->make_route_settings()});
        settings_.route("address", literal, 1);
        start();
        ASSERT_TRUE(feeder_.wait_up());
    }
    void publish_to(const std::string& level) { feeder_.publish_text(0, "plant/" + level, level); }
    void publish_literal(const std::string& payload) {
        core::Message::Fields fields;
        fields.topic = "x/y";
        fields.payload = as_bytes(payload);
        feeder_.publish(1, 1, core::Message::freeze(fields));
    }
    void expect_refused(std::uint64_t tag, const std::string& part) {
        EXPECT_EQ(confirm_of(tag).outcome, Outcome::refused) << tag;
        EXPECT_NE(confirm_of(tag).reason.find(part), std::string::npos) << confirm_of(tag).reason;
    }
    bool wait_confirmed(std::size_t count, seconds longest) {
        return feeder_.wait([&] { return feeder_.confirmed_.size() >= count; }, longest);
    }
};

TEST_F(Amqp1Addresses, a_missing_one_that_a_message_names_is_given_up_after_a_while) {
    for (const char* name : {".gone", ".never"})
        peer_->ask("missing " + place_ + name + " amqp:not-found no such queue");
    start_both(place_);
    const auto begin = Steady::now();
    publish_to("gone");
    publish_to("here");
    ASSERT_TRUE(wait_stall("amqp:not-found")) << "until then it is waited for";
    ASSERT_TRUE(wait_confirmed(2, seconds(25))) << last_stall();
    EXPECT_GT(Steady::now() - begin, seconds(5)) << "it had no time to come";
    expect_refused(1, place_ + ".gone': amqp:not-found: no such queue");
    EXPECT_EQ(confirm_of(2).outcome, Outcome::delivered);
    EXPECT_TRUE(wait_no_stall()) << last_stall();
    // From now on they cost no time.
    publish_to("gone");
    publish_to("never");
    publish_to("here");
    ASSERT_TRUE(wait_confirmed(5, seconds(5))) << last_stall();
    expect_refused(3, "amqp:not-found");
    expect_refused(4, place_ + ".never");
    EXPECT_EQ(confirm_of(5).outcome, Outcome::delivered);
    EXPECT_EQ(downs(), 0U);
}

TEST_F(Amqp1Addresses, a_missing_one_that_comes_in_time_loses_nothing) {
    peer_->ask("missing " + place_ + ".late amqp:not-found no such queue");
    start_both(place_);
    publish_to("late");
    publish_to("here");
    ASSERT_TRUE(wait_stall("amqp:not-found")) << last_stall();
    peer_->ask("present " + place_ + ".late");
    ASSERT_TRUE(wait_confirmed(2, seconds(8)));
    EXPECT_EQ(confirm_of(1).outcome, Outcome::delivered);
    EXPECT_EQ(confirm_of(2).outcome, Outcome::delivered);
    EXPECT_TRUE(wait_no_stall()) << last_stall();
}

TEST_F(Amqp1Addresses, a_forbidden_one_that_a_message_names_is_given_up_at_once) {
    peer_->ask("missing " + place_ + ".secret amqp:unauthorized-access not for you");
    start_both(place_);
    publish_to("secret");
    publish_to("here");
    ASSERT_TRUE(wait_confirmed(2, seconds(5))) << last_stall();
    expect_refused(1, "amqp:unauthorized-access: not for you");
    EXPECT_EQ(confirm_of(2).outcome, Outcome::delivered);
    EXPECT_EQ(downs(), 0U);
}

TEST_F(Amqp1Addresses, a_forbidden_one_of_the_config_is_waited_for) {
    const std::string secret = place_ + "-secret";
    peer_->ask("missing " + secret + " amqp:unauthorized-access not for you");
    start_both(secret);
    publish_literal("waits");
    publish_to("here");
    ASSERT_TRUE(wait_confirmed(1, seconds(5)));
    ASSERT_TRUE(wait_stall("'" + secret + "': amqp:unauthorized-access")) << last_stall();
    EXPECT_FALSE(wait_confirmed(2, seconds(2)));
    peer_->ask("present " + secret);
    ASSERT_TRUE(wait_confirmed(2, seconds(20)));
    EXPECT_EQ(confirm_of(1, 1).outcome, Outcome::delivered);
}

TEST_F(Amqp1Addresses, one_that_a_message_names_costs_the_session_once) {
    for (const char* condition : {"amqp:not-found", "amqp:unauthorized-access"}) {
        Amqp1Peer rabbit({"--product", "RabbitMQ"});
        rabbit.configure(settings_);
        rabbit.ask("missing_end " + place_ + ".gone " + condition + " no queue 'gone'");
        const auto before = feeder_.read([&] { return feeder_.confirmed_.size(); });
        const auto downs_before = downs();
        if (before == 0) {
            start_both(place_);
        } else {
            start();
        }
        publish_to("here");
        publish_to("gone");
        publish_to("here");
        publish_literal("x");
        ASSERT_TRUE(wait_confirmed(before + 4, seconds(10))) << last_down();
        EXPECT_EQ(confirm_of(before + 1).outcome, Outcome::delivered);
        expect_refused(before + 2, std::string(condition) + ": no queue 'gone'");
        EXPECT_EQ(confirm_of(before + 3).outcome, Outcome::delivered);
        EXPECT_EQ(downs(), downs_before + 1);
        connector_->stop(milliseconds(100));
    }
}

TEST_F(Amqp1Addresses, one_of_the_config_that_costs_the_session_holds_up_its_own_route) {
    const std::string missing = place_ + "-missing";
    peer_->ask("missing_end " + missing + " amqp:not-found no queue of that name");
    settings_.add_down();
    settings_.down("address", place_ + "-down");
    start_both(missing);
    publish_literal("waits");
    publish_to("here");
    ASSERT_TRUE(feeder_.wait(
        [&] {
            return feeder_.confirmed_.contains({0, 2});
        },
        seconds(10)))
        << last_down();
    ASSERT_TRUE(wait_stall("because of '" + missing + "': amqp:not-found")) << last_stall();
    EXPECT_FALSE(feeder_.wait([&] { return feeder_.downs_.size() > 1; }, seconds(4))) << last_down();
    publish_to("here");
    EXPECT_TRUE(feeder_.wait([&] { return feeder_.confirmed_.contains({0, 3}); }, seconds(5)));
    EXPECT_EQ(feeder_.read([&] { return feeder_.confirmed_.contains({1, 1}); }), false);
}

}  // namespace
}  // namespace sluice::bridge::test
