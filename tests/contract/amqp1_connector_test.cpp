/// What only the amqp1 connector does, upwards.
#include <set>

#include "tests/contract/amqp1_fixture.hpp"
#include "tests/support/properties.hpp"

namespace sluice::bridge::test {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

class Amqp1Connector : public Amqp1Fixture {};

TEST_F(Amqp1Connector, properties_say_what_mqtt_said) {
    settings_.spec.origin = "gw-1";
    settings_.route("group_id", std::string("{client_id}"));
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    sluice::test::PropertyBytes properties;
    properties.payload_format(1)
        .content_type("application/json")
        .response_topic("answers/7")
        .correlation_data(std::string_view("\xff\x00\x01", 3))
        .user("site", "Jülich")
        .user("site", "the second one of its name")
        .user("mqtt.client_id", "forged")
        .user("sluice.origin", "forged")
        .user("content-type", "forged");
    core::Message::Fields fields;
    fields.topic = "plant/7/telemetry";
    fields.properties = properties.bytes;
    fields.payload = as_bytes("{}");
    fields.qos = wire::QoS::exactly_once;
    fields.retain = true;
    fields.client_id = "device-7";
    fields.received = Feeder::now();
    fields.expiry_interval_s = 3600;
    feeder_.publish(0, fields);
    ASSERT_TRUE(feeder_.wait_confirmed(1)) << last_down();
    const auto all = peer_->receive(place_, 1);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].payload, "{}");
    auto headers = all[0].headers;
    EXPECT_LE(std::stoi(headers["@ttl"]), 3600'000);
    EXPECT_GT(std::stoi(headers["@ttl"]), 3500'000);
    headers.erase("@ttl");
    const std::map<std::string, std::string> expected{
        {"@durable", "true"},
        {"@message_id", "gw-1-1"},
        {"@subject", "plant/7/telemetry"},
        {"@reply_to", "answers/7"},
        {"@correlation_id", "binary ff0001"},
        {"@content_type", "application/json"},
        {"@creation_time", std::to_string(fields.received.time_since_epoch().count())},
        {"@group_id", "device-7"},
        {"#x-opt-partition-key", "device-7"},
        {"sluice.origin", "gw-1"},
        {"sluice.sequence", "1"},
        {"mqtt.topic", "plant/7/telemetry"},
        {"mqtt.qos", "int 2"},
        {"mqtt.retain", "true"},
        {"mqtt.client_id", "device-7"},
        {"payload-format-indicator", "int 1"},
        {"site", "Jülich"}};
    EXPECT_EQ(headers, expected);
}

TEST_F(Amqp1Connector, what_amqp_cannot_carry_as_it_is_does_no_harm) {
    settings_.route("durable", false);
    settings_.route("partition_key", std::string("{property.long|}"));
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    std::string long_key(126, 'k');
    long_key += "üx";  // the 128th byte would cut the ü
    sluice::test::PropertyBytes properties;
    properties.content_type("text/ü").correlation_data("call 9").user("long", long_key);
    for (int i = 0; i < 10; ++i) properties.user("n" + std::to_string(i), std::string(40'000, 'x'));
    core::Message::Fields fields;
    fields.topic = "plant/a";
    fields.properties = properties.bytes;
    fields.received = Feeder::now();
    fields.expiry_interval_s = 0xFFFFFFFFU;
    feeder_.publish(0, fields);
    feeder_.publish_text(0, "plant/a", "after");
    ASSERT_TRUE(feeder_.wait_confirmed(2)) << last_down();
    const auto all = peer_->receive(place_, 2);
    ASSERT_EQ(all.size(), 2U);
    auto headers = all[0].headers;
    EXPECT_EQ(headers.count("@ttl"), 0U);
    EXPECT_EQ(headers.count("@durable"), 0U);
    EXPECT_EQ(headers.count("@content_type"), 0U);
    EXPECT_EQ(headers["content-type"], "text/ü");
    EXPECT_EQ(headers["@correlation_id"], "call 9");
    EXPECT_EQ(headers["n9"].size(), 40'000U);
    EXPECT_EQ(all[0].key, std::string(126, 'k') + "ü");
    EXPECT_EQ(all[1].headers.count("#x-opt-partition-key"), 0U);
}

TEST_F(Amqp1Connector, the_address_is_made_of_the_message) {
    settings_.route("address", place_ + ".{topic}");
    settings_.spec.routes.push_back({"x/#", "test.toml:9", settings_.module->make_route_settings()});
    settings_.route("address", "/exchanges/" + place_ + "/{topic}", 1);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    core::Message::Fields fields;
    fields.topic = "plant/v1.2/a b%";
    feeder_.publish(0, 0, core::Message::freeze(fields));
    feeder_.publish(1, 1, core::Message::freeze(fields));
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    EXPECT_EQ(peer_->ask("messages " + place_ + ".plant.v1.2.a").size(),
              2U);  // a space parts the mock's words
    EXPECT_EQ(peer_->receive("/exchanges/" + place_ + "/plant.v1.2.a%20b%25", 1).size(), 1U);
}

TEST_F(Amqp1Connector, what_is_rejected_is_refused_with_the_servers_words) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    peer_->ask("rule " + place_ + " reject 1 amqp:not-allowed the schema does not fit");
    publish_numbers(0, 3);
    ASSERT_TRUE(feeder_.wait_confirmed(3));
    EXPECT_EQ(confirm_of(1).outcome, Outcome::refused);
    EXPECT_EQ(confirm_of(1).reason,
              "'" + place_ + "' rejected it: amqp:not-allowed: the schema does not fit");
    EXPECT_EQ(payloads(peer_->receive(place_, 2)), numbers(1, 3));
    EXPECT_EQ(downs(), 0U);
}

TEST_F(Amqp1Connector, what_cannot_be_delivered_here_is_refused) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    peer_->ask("rule " + place_ + " undeliverable 1");
    publish_numbers(0, 2);
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    EXPECT_EQ(confirm_of(1).outcome, Outcome::refused);
    EXPECT_NE(confirm_of(1).reason.find("undeliverable"), std::string::npos) << confirm_of(1).reason;
    EXPECT_EQ(confirm_of(2).outcome, Outcome::delivered);
}

class Amqp1PutBack : public Amqp1Fixture, public ::testing::WithParamInterface<std::string> {};

TEST_P(Amqp1PutBack, what_is_not_taken_now_is_sent_again_and_stalls_its_lane_only) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 1);
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    peer_->ask("rule " + place_ + " " + GetParam());
    publish_numbers(1, 2);
    ASSERT_TRUE(wait_stall("does not take a message now")) << last_stall();
    publish_numbers(2, 50);
    ASSERT_TRUE(feeder_.wait_confirmed(50)) << last_stall();
    for (std::uint64_t tag = 1; tag <= 50; ++tag) EXPECT_EQ(confirm_of(tag).outcome, Outcome::delivered);
    EXPECT_TRUE(wait_no_stall());
    EXPECT_EQ(payloads(peer_->receive(place_, 50)), numbers(0, 50));
    EXPECT_EQ(downs(), 0U);
}
INSTANTIATE_TEST_SUITE_P(outcomes, Amqp1PutBack,
                         ::testing::Values("release 1", "modify 1",
                                           "reject 1 amqp:resource-limit-exceeded the address is full"));

TEST_F(Amqp1Connector, without_credit_the_bridge_is_stalled_and_nothing_is_sent) {
    peer_->ask("credit " + place_ + " 0");
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 10);
    ASSERT_TRUE(wait_stall("gives no credit for '" + place_ + "'")) << last_stall();
    EXPECT_EQ(peer_->receive(place_, 0).size(), 0U);
    peer_->ask("credit " + place_ + " 3");
    ASSERT_TRUE(feeder_.wait_confirmed(10));
    EXPECT_TRUE(wait_no_stall());
    EXPECT_EQ(payloads(peer_->receive(place_, 10)), numbers(0, 10));
    EXPECT_EQ(downs(), 0U);
}

TEST_F(Amqp1Connector, without_outcomes_the_bridge_is_stalled) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    peer_->ask("rule " + place_ + " ignore 1");
    publish_numbers(0, 1);
    ASSERT_TRUE(wait_stall("confirmed nothing for 1 s")) << last_stall();
    // The server's own end of the link makes it void.
    peer_->ask("detach " + place_ + " amqp:link:detach-forced for maintenance");
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    EXPECT_EQ(confirm_of(1).outcome, Outcome::delivered);
    EXPECT_EQ(downs(), 0U);
}

TEST_F(Amqp1Connector, a_missing_address_stalls_its_lane_only_and_goes_on_when_it_is_there) {
    const std::string missing = place_ + "-missing";
    peer_->ask("missing " + missing + " amqp:not-found no queue of that name");
    settings_.spec.routes.push_back({"x/#", "test.toml:9", settings_.module->make_route_settings()});
    settings_.route("address", missing, 1);
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    ASSERT_TRUE(wait_stall("'" + missing + "': amqp:not-found: no queue of that name"))
        << "before any message";
    core::Message::Fields fields;
    fields.topic = "x/y";
    for (const char* payload : {"1", "2", "3"}) {
        fields.payload = as_bytes(std::string_view(payload));
        feeder_.publish(1, 1, core::Message::freeze(fields));
    }
    publish_numbers(0, 5);
    ASSERT_TRUE(feeder_.wait_confirmed(5));
    EXPECT_EQ(feeder_.read([&] { return feeder_.confirmed_.count({1, 1}); }), 0U);
    peer_->ask("present " + missing);
    ASSERT_TRUE(feeder_.wait_confirmed(8));
    EXPECT_TRUE(wait_no_stall());
    EXPECT_EQ(payloads(peer_->receive(missing, 3)), (std::vector<std::string>{"1", "2", "3"}));
    EXPECT_EQ(downs(), 0U);
}

TEST_F(Amqp1Connector, what_was_under_way_on_a_link_that_goes_is_sent_again_in_order) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    peer_->ask("rule " + place_ + " ignore 20");
    publish_numbers(0, 20);
    ASSERT_TRUE(wait_until([&] { return peer_->ask("rule_left " + place_) == "0"; }));
    peer_->ask("detach " + place_ + " amqp:resource-limit-exceeded too many");
    publish_numbers(20, 40);
    ASSERT_TRUE(feeder_.wait_confirmed(40)) << last_stall();
    const auto all = payloads(peer_->receive(place_, 40));
    std::vector<std::string> first;
    std::set<std::string> seen;
    for (const auto& one : all)
        if (seen.insert(one).second) first.push_back(one);
    EXPECT_EQ(first, numbers(0, 40));
    EXPECT_EQ(downs(), 0U);
}

TEST_F(Amqp1Connector, over_the_links_limit_is_refused_before_it_is_sent) {
    peer_->ask("limit " + place_ + " 3000");
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/a", "0");
    feeder_.publish_text(0, "plant/a", std::string(3000, 'x'));
    feeder_.publish_text(0, "plant/a", "1");
    ASSERT_TRUE(feeder_.wait_confirmed(3));
    EXPECT_EQ(confirm_of(2).outcome, Outcome::refused);
    EXPECT_NE(confirm_of(2).reason.find("takes at most 3000"), std::string::npos) << confirm_of(2).reason;
    EXPECT_EQ(payloads(peer_->receive(place_, 2)), numbers(0, 2));
}

TEST_F(Amqp1Connector, over_a_limit_that_costs_the_link_only_the_culprit_is_refused) {
    peer_->ask("size_error " + place_ + " 3000");
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 10);
    feeder_.publish_text(0, "plant/a", std::string(3000, 'x'));
    publish_numbers(10, 20);
    publish_numbers(0, 20, 1);
    ASSERT_TRUE(feeder_.wait_confirmed(41)) << last_stall();
    for (std::uint64_t tag = 1; tag <= 41; ++tag) {
        const auto confirm = confirm_of(tag, tag > 21 ? 1 : 0);
        EXPECT_EQ(confirm.outcome, tag == 11 ? Outcome::refused : Outcome::delivered) << tag;
    }
    EXPECT_NE(confirm_of(11).reason.find("message-size-exceeded"), std::string::npos)
        << confirm_of(11).reason;
    EXPECT_EQ(downs(), 0U);
    EXPECT_TRUE(wait_no_stall()) << last_stall();
}

TEST_F(Amqp1Connector, the_end_of_connection_or_session_is_told_in_the_servers_words) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    peer_->ask("close amqp:connection:forced the node is drained");
    ASSERT_TRUE(feeder_.wait_down(0));
    EXPECT_EQ(last_down(), "the server closed the connection: amqp:connection:forced: the node is drained");
    ASSERT_TRUE(feeder_.wait([&] { return feeder_.ups_ == 2; }));
    peer_->ask("end amqp:internal-error something broke");
    ASSERT_TRUE(feeder_.wait_down(1));
    EXPECT_EQ(last_down(), "the server ended the session: amqp:internal-error: something broke");
    publish_numbers(0, 3);
    ASSERT_TRUE(feeder_.wait_confirmed(3));
}

TEST_F(Amqp1Connector, a_frozen_server_is_noticed_within_about_two_heartbeats) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    peer_->freeze();
    const auto begin = Steady::now();
    const bool noticed = feeder_.wait_down();
    const auto took = Steady::now() - begin;
    peer_->thaw();
    ASSERT_TRUE(noticed);
    EXPECT_LT(took, milliseconds(3500));
    EXPECT_NE(last_down().find("no sign of life"), std::string::npos) << last_down();
    EXPECT_TRUE(feeder_.wait_up());
}

TEST_F(Amqp1Connector, an_idle_connection_stays) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    EXPECT_FALSE(feeder_.wait([&] { return !feeder_.downs_.empty(); }, milliseconds(4500)))
        << last_down();  // more than twice the heartbeat, and more than the mock's own patience
    publish_numbers(0, 1);
    ASSERT_TRUE(feeder_.wait_confirmed(1));
}

TEST_F(Amqp1Connector, links_are_bounded_however_many_addresses_there_are) {
    settings_.route("address", place_ + ".{topic[1]}");
    start();
    ASSERT_TRUE(feeder_.wait_up());
    for (int i = 0; i < 600; ++i) feeder_.publish_text(0, "plant/" + std::to_string(i), "x");
    ASSERT_TRUE(feeder_.wait_confirmed(600)) << last_stall();
    EXPECT_LE(std::stoi(peer_->ask("links")), 200);
    EXPECT_EQ(peer_->receive(place_ + ".599", 1).size(), 1U);
    EXPECT_EQ(downs(), 0U);
}

TEST_F(Amqp1Connector, a_large_message_arrives_whole) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    const std::string large(3'000'000, 'x');
    for (int i = 0; i < 5; ++i) feeder_.publish_text(0, "plant/a", large + std::to_string(i));
    ASSERT_TRUE(feeder_.wait_confirmed(5)) << last_down();
    const auto all = peer_->receive(place_, 5);
    ASSERT_EQ(all.size(), 5U);
    for (std::size_t i = 0; i < 5; ++i)
        EXPECT_EQ(all[i].payload, Amqp1Peer::digest(large + std::to_string(i)));
}

TEST_F(Amqp1Connector, the_next_server_is_tried_when_one_is_down) {
    settings_.bridge("servers", std::vector<std::string>{"127.0.0.1:1", peer_->address()});
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    EXPECT_EQ(last_down(), "cannot connect to 127.0.0.1:1: Connection refused");
}

TEST_F(Amqp1Connector, create_names_what_is_wrong) {
    const auto error = [&] {
        const auto created = settings_.module->create(settings_.spec);
        return created.ok() ? "" : created.error();
    };
    EXPECT_EQ(error(), "test.toml:5: address: it is empty; expected a template of an address");
    settings_.route("address", std::string("{tpoic}"));
    EXPECT_TRUE(
        error().starts_with("test.toml:5: address: column 2: unknown placeholder 'tpoic'; expected topic, "))
        << error();
    settings_.route("address", std::string("a"));
    settings_.bridge("password", std::string("hunter2"));
    EXPECT_EQ(error(), "test.toml:1: password: there is no `user`; expected both or neither");
    settings_.bridge("sasl", std::int64_t{1});
    settings_.bridge("password", std::string());
    EXPECT_EQ(error(), "test.toml:1: sasl: \"plain\" needs a user; expected the key `user`");
    settings_.bridge("sasl", std::int64_t{2});
    EXPECT_EQ(
        error(),
        "test.toml:1: sasl: \"external\" needs a certificate; expected the keys `certificate` and `key`");
    settings_.bridge("sasl", std::int64_t{0});
    settings_.add_down();
    EXPECT_EQ(error(), "test.toml:7: address: it is empty; expected an address to receive from");
    settings_.down("address", std::string("commands"));
    EXPECT_EQ(error(), "");
}

TEST_F(Amqp1Connector, the_gateways_identity_and_a_missing_part_of_a_template) {
    settings_.spec.origin = "gw-1";
    settings_.route("group_id", std::string("{origin}-{topic[1]}"));
    start_at_place();
    feeder_.publish_text(0, "plant/a", "x");
    feeder_.publish_text(0, "plant", "lacks the level");
    ASSERT_TRUE(feeder_.wait_confirmed(2)) << last_down();
    EXPECT_EQ(confirm_of(1).outcome, Outcome::delivered);
    EXPECT_EQ(peer_->receive(place_, 1).at(0).headers.at("@group_id"), "gw-1-a");
    EXPECT_EQ(confirm_of(2).outcome, Outcome::unmappable);
    EXPECT_EQ(confirm_of(2).reason, "'{origin}-{topic[1]}': the topic has no level 1");
}

/// RabbitMQ 4 has its own sense of the outcomes.
TEST_F(Amqp1Connector, rabbitmq_releases_what_no_queue_takes_and_rejects_what_a_full_one_cannot) {
    Amqp1Peer rabbit({"--product", "RabbitMQ"});
    rabbit.configure(settings_);
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    rabbit.ask("rule " + place_ + " release 1");
    publish_numbers(0, 1);
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    EXPECT_EQ(confirm_of(1).outcome, Outcome::refused);
    EXPECT_NE(confirm_of(1).reason.find("no queue takes"), std::string::npos) << confirm_of(1).reason;
    rabbit.ask("rule " + place_ + " reject 1");
    publish_numbers(1, 2);
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    EXPECT_EQ(confirm_of(2).outcome, Outcome::delivered);
    connector_->stop(milliseconds(100));  // the peer goes first
}

}  // namespace
}  // namespace sluice::bridge::test
