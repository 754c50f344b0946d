/// What only the amqp connector does.
#include "tests/contract/amqp_fixture.hpp"
#include "tests/support/properties.hpp"

namespace sluice::bridge::test {
namespace {

using std::chrono::milliseconds;

TEST_F(AmqpConnector, properties_and_headers_say_what_mqtt_said) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    sluice::test::PropertyBytes properties;
    properties.payload_format(1)
        .content_type("application/json")
        .response_topic("answers/7")
        .correlation_data("call 9")
        .user("site", "Jülich")
        .user("x-mqtt-client-id", "forged")
        .user("CC", "everybody")
        .user(std::string(300, 'n'), "a name that AMQP cannot carry");
    core::Message::Fields fields;
    fields.topic = "plant/v1.2/telemetry";
    fields.properties = properties.bytes;
    fields.payload = as_bytes("{}");
    fields.qos = wire::QoS::exactly_once;
    fields.retain = true;
    fields.client_id = "device-7";
    fields.received = Feeder::now();
    fields.expiry_interval_s = 3600;
    feeder_.publish(0, fields);
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    const auto all = peer_->receive(place_, 1);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].key, place_ + ".plant.v1%2E2.telemetry");
    auto headers = all[0].headers;
    EXPECT_LE(std::stoi(headers["@expiration"]), 3600'000);
    EXPECT_GT(std::stoi(headers["@expiration"]), 3500'000);
    headers.erase("@expiration");
    const auto received_s =
        std::chrono::duration_cast<std::chrono::seconds>(fields.received.time_since_epoch());
    const std::map<std::string, std::string> expected{{"@content_type", "application/json"},
                                                      {"@correlation_id", "call 9"},
                                                      {"@delivery_mode", "2"},
                                                      {"@timestamp", std::to_string(received_s.count())},
                                                      {"x-mqtt-topic", "plant/v1.2/telemetry"},
                                                      {"x-mqtt-qos", "2"},
                                                      {"x-mqtt-retain", "true"},
                                                      {"x-mqtt-client-id", "device-7"},
                                                      {"x-mqtt-payload-format", "1"},
                                                      {"x-reply-to-topic", "answers.7"},
                                                      {"x-sluice-seq", "1"},
                                                      {"site", "Jülich"}};
    EXPECT_EQ(headers, expected);
}

TEST_F(AmqpConnector, a_message_goes_as_a_cloud_event) {
    settings_.spec.origin = "gate-1";
    settings_.route("cloudevents", true);
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    sluice::test::PropertyBytes properties;
    properties.content_type("text/plain").user("cloudEvents:id", "forged").user("site", "a");
    core::Message::Fields fields;
    fields.topic = "plant/7";
    fields.properties = properties.bytes;
    fields.received = WallTime(std::chrono::milliseconds(1'709'251'199'042));
    feeder_.publish(0, fields);
    sluice::test::PropertyBytes event;
    event.user("specversion", "1.0").user("id", "9").user("source", "/pump").user("type", "x");
    event.user("datacontenttype", "text/csv");
    fields.properties = event.bytes;
    feeder_.publish(0, fields);
    ASSERT_TRUE(feeder_.wait_confirmed(2)) << last_down();
    const auto all = peer_->receive(place_, 2);
    ASSERT_EQ(all.size(), 2U);
    const auto event_headers = [](const Received& received) {
        std::map<std::string, std::string> headers;
        for (const auto& [name, value] : received.headers)
            if (!name.starts_with("x-") && name != "@delivery_mode" && name != "@timestamp")
                headers[name] = value;
        return headers;
    };
    const std::map<std::string, std::string> made{{"cloudEvents_specversion", "1.0"},
                                                  {"cloudEvents_id", "gate-1-1"},
                                                  {"cloudEvents_source", "/mqtt/gate-1"},
                                                  {"cloudEvents_type", "sluice.mqtt.publish"},
                                                  {"cloudEvents_time", "2024-02-29T23:59:59.042Z"},
                                                  {"cloudEvents_subject", "plant/7"},
                                                  {"@content_type", "text/plain"},
                                                  {"site", "a"}};
    EXPECT_EQ(event_headers(all[0]), made);
    const std::map<std::string, std::string> kept{{"cloudEvents_specversion", "1.0"},
                                                  {"cloudEvents_id", "9"},
                                                  {"cloudEvents_source", "/pump"},
                                                  {"cloudEvents_type", "x"},
                                                  {"@content_type", "text/csv"}};
    EXPECT_EQ(event_headers(all[1]), kept);
}

TEST_F(AmqpConnector, expiry_beyond_what_the_server_takes_and_large_headers_do_no_harm) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    sluice::test::PropertyBytes properties;
    for (int i = 0; i < 10; ++i) properties.user("n" + std::to_string(i), std::string(40'000, 'x'));
    properties.correlation_data(std::string(1000, 'c')).content_type(std::string(1000, 't'));
    core::Message::Fields fields;
    fields.topic = "plant/a";
    fields.properties = properties.bytes;
    fields.received = Feeder::now();
    fields.expiry_interval_s = 0xFFFFFFFFU;
    feeder_.publish(0, fields);
    ASSERT_TRUE(feeder_.wait_confirmed(1)) << last_down();
    EXPECT_EQ(confirm_of(1).outcome, Outcome::delivered);
    const auto all = peer_->receive(place_, 1);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].headers.count("@expiration"), 0U);
    EXPECT_EQ(all[0].headers.count("@content_type"), 0U);
    EXPECT_EQ(all[0].headers.at("x-correlation-id").size(), 1000U);
    EXPECT_EQ(all[0].headers.count("n1"), 1U);
    EXPECT_EQ(all[0].headers.count("n9"), 0U);
    EXPECT_EQ(downs(), 0U);
}

TEST_F(AmqpConnector, only_the_unroutable_among_many_is_refused) {
    peer_->configure_refusal(settings_, place_);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    for (int i = 0; i < 200; ++i)
        feeder_.publish_text(0, i % 10 == 5 ? "plant/nowhere" : "plant/a", std::to_string(i));
    ASSERT_TRUE(feeder_.wait_confirmed(200));
    for (std::uint64_t i = 0; i < 200; ++i) {
        const auto confirm = confirm_of(i + 1);
        EXPECT_EQ(confirm.outcome, i % 10 == 5 ? Outcome::refused : Outcome::delivered) << i;
        EXPECT_EQ(confirm.reason.find("NO_ROUTE") != std::string::npos, i % 10 == 5) << confirm.reason;
    }
    EXPECT_EQ(peer_->receive(place_, 180).size(), 180U);
}

TEST_F(AmqpConnector, without_mandatory_the_server_throws_the_unroutable_away) {
    peer_->configure_refusal(settings_, place_);
    settings_.route("mandatory", false);
    settings_.route("persistent", false);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/nowhere", "x");
    feeder_.publish_text(0, "plant/a", "y");
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    EXPECT_EQ(confirm_of(1).outcome, Outcome::delivered);
    const auto all = peer_->receive(place_, 1);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].headers.at("@delivery_mode"), "1");
    EXPECT_EQ(all[0].headers.count("x-sluice-seq"), 0U);
}

TEST_F(AmqpConnector, a_routing_key_over_255_bytes_and_a_missing_part_are_refused) {
    peer_->configure_place(settings_, place_);
    settings_.spec.routes.push_back({"x/#", "test.toml:9", settings_.module->make_route_settings()});
    settings_.route("routing_key", std::string("{property.site}"), 1);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/" + std::string(300, 'x'), "x");
    core::Message::Fields fields;
    fields.topic = "x/y";
    feeder_.publish(1, 1, core::Message::freeze(fields));
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    EXPECT_NE(confirm_of(1).reason.find("at most 255"), std::string::npos) << confirm_of(1).reason;
    EXPECT_EQ(confirm_of(1).outcome, Outcome::refused);
    EXPECT_EQ(confirm_of(2, 1).reason, "'{property.site}': the message has no user property 'site'");
    EXPECT_EQ(confirm_of(2, 1).outcome, Outcome::unmappable);
}

TEST_F(AmqpConnector, nacked_messages_are_sent_again_until_they_are_taken) {
    start_at_place();
    ASSERT_EQ(peer_
                  ->ask("ctl set_policy full '^" + place_ +
                        "$' '{\"max-length\":10,\"overflow\":\"reject-publish\"}' --apply-to queues")
                  .substr(0, 2),
              "ok");
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 60);
    ASSERT_TRUE(wait_stall("nack"));
    ASSERT_TRUE(feeder_.wait([&] { return feeder_.retried_ > 0; })) << "not counted as sent again";
    EXPECT_LT(feeder_.read([&] { return feeder_.confirmed_.size(); }), 60U);
    // Each time the queue is emptied, ten or so get in.
    for (int i = 0; i < 200; ++i) {
        peer_->receive(place_, 0);
        if (feeder_.wait([&] { return feeder_.confirmed_.size() >= 60; }, milliseconds(200))) break;
    }
    ASSERT_TRUE(feeder_.wait_confirmed(60));
    for (std::uint64_t tag = 1; tag <= 60; ++tag) EXPECT_EQ(confirm_of(tag).outcome, Outcome::delivered);
    EXPECT_EQ(downs(), 0U);
    peer_->ask("ctl clear_policy full");
    std::map<std::string, int> seen;
    for (const auto& received : peer_->receive(place_, 60)) ++seen[received.payload];
    EXPECT_EQ(seen.size(), 60U);
}

TEST_F(AmqpConnector, a_server_low_on_memory_stalls_the_bridge_and_nothing_is_lost) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    ASSERT_EQ(peer_->ask("ctl set_vm_memory_high_watermark 0.00001").substr(0, 2), "ok");
    publish_numbers(0, 50);
    EXPECT_TRUE(wait_stall("blocks publishing"));
    publish_numbers(50, 100);
    ASSERT_EQ(peer_->ask("ctl set_vm_memory_high_watermark 0.4").substr(0, 2), "ok");
    ASSERT_TRUE(feeder_.wait_confirmed(100)) << last_down();
    EXPECT_TRUE(wait_no_stall());
    EXPECT_EQ(downs(), 0U);
    EXPECT_EQ(peer_->receive(place_, 100).size(), 100U);
}

TEST_F(AmqpConnector, a_publish_that_hangs_is_broken_off) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    peer_->freeze();
    // More than the sockets' buffers take: the send itself hangs.
    const std::string large(4'000'000, 'x');
    for (int i = 0; i < 4; ++i) feeder_.publish_text(0, "plant/a", large);
    EXPECT_TRUE(feeder_.wait_down()) << "the hanging send was not broken off";
    peer_->thaw();
    ASSERT_TRUE(feeder_.wait_confirmed(4)) << last_down();
    EXPECT_GE(peer_->receive(place_, 4).size(), 4U);
}

TEST_F(AmqpConnector, stop_breaks_a_publish_that_hangs) {
    settings_.bridge("heartbeat", std::int64_t{60'000});  // it will not help
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    peer_->freeze();
    const std::string large(4'000'000, 'x');
    for (int i = 0; i < 4; ++i) feeder_.publish_text(0, "plant/a", large);
    feeder_.wait([] { return false; }, milliseconds(300));  // let it hang
    const auto begin = std::chrono::steady_clock::now();
    connector_->stop(milliseconds(300));
    const auto took = std::chrono::steady_clock::now() - begin;
    peer_->thaw();
    EXPECT_LT(took, milliseconds(2300));
}

TEST_F(AmqpConnector, a_message_over_the_servers_limit_is_refused_and_the_rest_goes_on) {
    ASSERT_EQ(peer_->ask("ctl eval 'application:set_env(rabbit, max_message_size, 3000).'").substr(0, 2),
              "ok");
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 5);
    feeder_.publish_text(0, "plant/a", std::string(5000, 'x'));
    publish_numbers(5, 10);
    const bool done = feeder_.wait_confirmed(11);
    peer_->ask("ctl eval 'application:set_env(rabbit, max_message_size, 134217728).'");
    ASSERT_TRUE(done) << last_down();
    EXPECT_EQ(confirm_of(6).outcome, Outcome::refused);
    EXPECT_NE(confirm_of(6).reason.find("at most 3000"), std::string::npos) << confirm_of(6).reason;
    EXPECT_EQ(confirm_of(11).outcome, Outcome::delivered);
}

TEST_F(AmqpConnector, a_wrong_password_is_told_without_the_password) {
    peer_->configure_place(settings_, place_);
    settings_.bridge("password", std::string("hunter2"));
    start();
    ASSERT_TRUE(feeder_.wait_down());
    EXPECT_NE(last_down().find("ACCESS_REFUSED"), std::string::npos) << last_down();
    EXPECT_EQ(last_down().find("hunter2"), std::string::npos);
}

TEST_F(AmqpConnector, the_next_server_is_tried_when_one_is_down) {
    peer_->configure_place(settings_, place_);
    settings_.bridge("servers",
                     std::vector<std::string>{"127.0.0.1:1", "127.0.0.1:" + std::to_string(node_->port())});
    start();
    ASSERT_TRUE(feeder_.wait_up());
    EXPECT_EQ(downs(), 1U);
    EXPECT_NE(last_down().find("127.0.0.1:1: Connection refused"), std::string::npos) << last_down();
}

TEST_F(AmqpConnector, an_idle_connection_stays) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.wait([] { return false; }, milliseconds(4500));  // more than twice the heartbeat
    EXPECT_EQ(downs(), 0U);
    publish_numbers(0, 1);
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    EXPECT_EQ(downs(), 0U);
}

TEST_F(AmqpConnector, create_names_what_is_wrong) {
    settings_.route("exchange", std::string("{tpoic}"));
    const auto created = settings_.module->create(settings_.spec);
    ASSERT_FALSE(created.ok());
    EXPECT_EQ(created.error(),
              "test.toml:5: exchange: column 2: unknown placeholder 'tpoic'; expected topic, topic[N], "
              "client_id, user_name, qos, retain, content_type, date, received, origin, property.NAME or "
              "payload.NAME");
}

}  // namespace
}  // namespace sluice::bridge::test
