/// Messages over which RabbitMQ closes the channel: each is found, refused, and stops nothing else.
#include <algorithm>
#include <fstream>
#include <set>

#include "tests/contract/amqp_fixture.hpp"

namespace sluice::bridge::test {
namespace {

/// The server cuts its complaint before the end of such a name.
const std::string long_name(230, 'n');

TEST_F(AmqpConnector, a_long_exchange_that_is_missing_stops_nothing_else) {
    peer_->configure_place(settings_, place_);
    settings_.spec.routes.push_back({"x/#", "test.toml:9", settings_.module->make_route_settings()});
    settings_.route("exchange", std::string("{topic[1]}"), 1);
    AmqpClient client(node_->port());
    client.make_exchange(long_name + "-there");
    client.make_queue(place_ + "-there", long_name + "-there", "#");
    start();
    ASSERT_TRUE(feeder_.wait_up());
    core::Message::Fields fields;
    const std::string missing = "x/" + long_name + "-y", there = "x/" + long_name + "-there";
    for (int i = 0; i < 3; ++i) {
        fields.topic = missing;
        feeder_.publish(1, 1, core::Message::freeze(fields));
        fields.topic = there;
        feeder_.publish(1, 1, core::Message::freeze(fields));
    }
    publish_numbers(0, 50);
    ASSERT_TRUE(feeder_.wait_confirmed(56)) << last_down();
    for (std::uint64_t tag = 1; tag <= 6; ++tag) {
        const Confirm confirm = confirm_of(tag, 1);
        EXPECT_EQ(confirm.outcome, tag % 2 == 1 ? Outcome::refused : Outcome::delivered) << tag;
        EXPECT_EQ(confirm.reason.find("404 NOT_FOUND - no exchange 'nnn") == 0, tag % 2 == 1)
            << confirm.reason;
    }
    for (std::uint64_t tag = 7; tag <= 56; ++tag) EXPECT_EQ(confirm_of(tag).outcome, Outcome::delivered);
    EXPECT_EQ(downs(), 2U) << "once among many, once alone: two exchanges begin like that";
}

TEST_F(AmqpConnector, a_long_routing_key_that_is_not_for_us_stops_nothing_else) {
    settings_.route("routing_key", std::string("{topic}"));
    AmqpClient(node_->port()).make_queue(place_, "amq.topic", "plant.#");
    ASSERT_EQ(peer_->ask("ctl set_topic_permissions guest amq.topic '^(?!.*bad).*' .*").substr(0, 2), "ok");
    start();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/" + long_name + "/bad", "x");
    publish_numbers(0, 20);
    const bool all = feeder_.wait_confirmed(21);
    EXPECT_EQ(peer_->ask("ctl clear_topic_permissions guest").substr(0, 2), "ok");
    ASSERT_TRUE(all) << last_down();
    EXPECT_EQ(confirm_of(1).outcome, Outcome::refused);
    EXPECT_EQ(confirm_of(1).reason.find("403 ACCESS_REFUSED - access to topic 'plant.nnn"), 0U)
        << confirm_of(1).reason;
    for (std::uint64_t tag = 2; tag <= 21; ++tag) EXPECT_EQ(confirm_of(tag).outcome, Outcome::delivered);
    EXPECT_EQ(downs(), 1U) << "the channel was closed once";
}

TEST_F(AmqpConnector, a_default_exchange_that_is_not_for_us_is_waited_for) {
    peer_->configure_place(settings_, place_);
    settings_.spec.routes.push_back({"x/#", "test.toml:9", settings_.module->make_route_settings()});
    settings_.route("exchange", std::string(), 1);
    ASSERT_EQ(peer_->ask("ctl set_permissions guest .* '^(?!amq.default$).*' .*").substr(0, 2), "ok");
    start();
    ASSERT_TRUE(feeder_.wait_up());
    core::Message::Fields fields;
    fields.topic = "x/y";
    feeder_.publish(1, 1, core::Message::freeze(fields));
    const bool waits = wait_stall("ACCESS_REFUSED");
    publish_numbers(0, 50);
    const bool all = feeder_.wait_confirmed(50);
    EXPECT_EQ(peer_->ask("ctl set_permissions guest .* .* .*").substr(0, 2), "ok");
    EXPECT_TRUE(waits) << last_down();
    ASSERT_TRUE(all) << last_down();
    EXPECT_EQ(feeder_.read([&] { return feeder_.confirmed_.count({1, 1}); }), 0U);
    EXPECT_EQ(downs(), 1U) << "the channel was closed once";
}

/// A node that closes the channel, or the connection, over every message with "poison" in its routing key, in
/// words that name nothing.
class AmqpPoison : public AmqpConnector {
  protected:
    void SetUp() override {
        AmqpConnector::SetUp();
        if (IsSkipped()) return;
        const std::string file = ::testing::TempDir() + "sluice_poison.erl";
        std::ofstream(file) << R"(-module(sluice_poison).
-behaviour(rabbit_channel_interceptor).
-export([description/0, init/1, intercept/3, applies_to/0]).
description() -> [].
init(_) -> none.
applies_to() -> ['basic.publish'].
intercept({'basic.publish', _, _, Key, _, _} = Method, Content, _) ->
    Fault = application:get_env(rabbit, sluice_fault, precondition_failed),
    case binary:match(Key, <<"poison">>) of
        nomatch -> {Method, Content};
        _ -> {amqp_error, Fault, "the test says no", 'basic.publish'}
    end;
intercept(Method, Content, _) -> {Method, Content}.
)";
        const std::string loaded =
            eval("{ok, M, B} = compile:file(\"" + file + "\", [binary]), code:load_binary(M, \"\", B), " +
                 "rabbit_registry:register(channel_interceptor, <<\"sluice\">>, M).");
        ASSERT_EQ(loaded.substr(0, 2), "ok") << loaded;
    }
    void TearDown() override {
        AmqpConnector::TearDown();
        if (peer_) take_poison();
    }
    std::string eval(const std::string& text) { return peer_->ask("ctl eval '" + text + "'"); }
    void take_poison() { eval("rabbit_registry:unregister(channel_interceptor, <<\"sluice\">>)."); }
    void fault(const std::string& name) { eval("application:set_env(rabbit, sluice_fault, " + name + ")."); }
};

TEST_F(AmqpPoison, is_found_and_refused_and_order_is_kept) {
    fault("precondition_failed");
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    for (int i = 0; i < 100; ++i) {
        const std::string lane = std::to_string(i % 2);
        const bool poisoned = i == 41 || i == 60;
        feeder_.publish_text(static_cast<std::uint32_t>(i % 2), poisoned ? "plant/poison" : "plant/" + lane,
                             std::to_string(i));
    }
    ASSERT_TRUE(feeder_.wait_confirmed(100)) << last_down();
    for (int i = 0; i < 100; ++i) {
        const bool poisoned = i == 41 || i == 60;
        const auto confirm = confirm_of(static_cast<std::uint64_t>(i) + 1, static_cast<std::uint32_t>(i % 2));
        EXPECT_EQ(confirm.outcome, poisoned ? Outcome::refused : Outcome::delivered) << i;
        EXPECT_EQ(confirm.reason, poisoned ? "406 PRECONDITION_FAILED - the test says no" : "") << i;
    }
    EXPECT_GE(downs(), 5U);
    EXPECT_LE(downs(), 6U) << "among many, then twice alone";
    std::map<std::string, std::vector<int>> first;
    std::set<std::string> seen;
    for (const auto& received : peer_->receive(place_, 98))
        if (seen.insert(received.payload).second) first[received.key].push_back(std::stoi(received.payload));
    EXPECT_EQ(seen.size(), 98U);
    for (const auto& [key, numbers] : first)
        EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end())) << key;
    const auto before = downs();
    publish_numbers(0, 200);
    ASSERT_TRUE(feeder_.wait_confirmed(300)) << last_down();
    EXPECT_EQ(downs(), before);
}

TEST_F(AmqpPoison, that_ends_the_whole_connection_is_found_too) {
    fault("syntax_error");
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/poison", "x");
    publish_numbers(0, 20);
    ASSERT_TRUE(feeder_.wait_confirmed(21)) << last_down();
    EXPECT_EQ(confirm_of(1).outcome, Outcome::refused);
    EXPECT_EQ(confirm_of(1).reason, "502 SYNTAX_ERROR - the test says no");
    EXPECT_EQ(confirm_of(2).outcome, Outcome::delivered);
    EXPECT_EQ(downs(), 3U);
}

TEST_F(AmqpPoison, a_server_in_trouble_refuses_nothing) {
    for (const std::string name : {"internal_error", "connection_forced"}) {
        fault(name);
        if (!connector_) {
            start_at_place();
            ASSERT_TRUE(feeder_.wait_up());
            feeder_.publish_text(0, "plant/poison", "x");
            publish_numbers(0, 5);
        }
        // More often than a message may end its connection.
        ASSERT_TRUE(feeder_.wait_down(name == "internal_error" ? 2 : 3)) << name;
    }
    EXPECT_EQ(feeder_.read([&] { return feeder_.confirmed_.size(); }), 0U);
    take_poison();
    ASSERT_TRUE(feeder_.wait_confirmed(6)) << last_down();
    for (std::uint64_t tag = 1; tag <= 6; ++tag) EXPECT_EQ(confirm_of(tag).outcome, Outcome::delivered);
}

}  // namespace
}  // namespace sluice::bridge::test
