/// What comes down by the amqp connector, and when the server is told that we have it.
#include <algorithm>
#include <array>

#include "tests/contract/amqp_down_fixture.hpp"

namespace sluice::bridge::test {
namespace {

using AmqpDown = AmqpDownFixture;

TEST_F(AmqpDown, a_message_comes_with_all_that_it_says) {
    make_queue();
    std::array<amqp_table_entry_t, 3> inner{
        text_entry("queue", "q\"1"), entry_of("count", AMQP_FIELD_KIND_I64, [](auto& v) { v.i64 = 3; }),
        entry_of("none", AMQP_FIELD_KIND_VOID, [](auto&) {})};
    std::array<amqp_field_value_t, 2> list{};
    list[0].kind = AMQP_FIELD_KIND_TABLE;
    list[0].value.table = {inner.size(), inner.data()};
    list[1].kind = AMQP_FIELD_KIND_BOOLEAN;
    list[1].value.boolean = 1;
    std::array<amqp_table_entry_t, 15> headers{
        text_entry("x-mqtt-topic", "plant/v1.2/cmd"),
        text_entry("x-sluice-origin", "gateway-2"),
        text_entry("x-reply-to-topic", "answers.v1%2E2.50%25"),
        text_entry("site", "Jülich"),
        entry_of("x-mqtt-qos", AMQP_FIELD_KIND_I32, [](auto& v) { v.i32 = 2; }),
        entry_of("x-mqtt-retain", AMQP_FIELD_KIND_BOOLEAN, [](auto& v) { v.boolean = 1; }),
        entry_of("x-mqtt-payload-format", AMQP_FIELD_KIND_I32, [](auto& v) { v.i32 = 1; }),
        entry_of("x-sluice-seq", AMQP_FIELD_KIND_I64, [](auto& v) { v.i64 = 7; }),
        entry_of("small", AMQP_FIELD_KIND_I8, [](auto& v) { v.i8 = -5; }),
        entry_of("large", AMQP_FIELD_KIND_I64, [](auto& v) { v.i64 = -5'000'000'000; }),
        entry_of("real", AMQP_FIELD_KIND_F64, [](auto& v) { v.f64 = 0.5; }),
        entry_of("exact", AMQP_FIELD_KIND_DECIMAL,
                 [](auto& v) {
                     v.decimal = {2, 5};
                 }),
        entry_of("time", AMQP_FIELD_KIND_TIMESTAMP, [](auto& v) { v.u64 = 1'700'000'000; }),
        entry_of("list", AMQP_FIELD_KIND_ARRAY,
                 [&](auto& v) {
                     v.array = {list.size(), list.data()};
                 }),
        entry_of("none", AMQP_FIELD_KIND_VOID, [](auto&) {})};
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG |
                        AMQP_BASIC_EXPIRATION_FLAG | AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_REPLY_TO_FLAG |
                        AMQP_BASIC_MESSAGE_ID_FLAG;
    properties.content_type = amqp_cstring_bytes("text/plain");
    properties.correlation_id = amqp_cstring_bytes("call 9");
    properties.expiration = amqp_cstring_bytes("3600001");
    properties.reply_to = amqp_cstring_bytes("answers");
    properties.message_id = amqp_cstring_bytes("gateway-2-9");
    properties.headers = {headers.size(), headers.data()};
    AmqpClient(node_->port()).publish(place_, "open", properties);
    start();
    ASSERT_TRUE(feeder_.wait_incoming(1)) << last_problem();
    const Incoming got = incoming(0);
    EXPECT_EQ(got.route, 0U);
    EXPECT_EQ(got.source, place_);
    EXPECT_EQ(got.payload, "open");
    EXPECT_EQ(got.mqtt_topic, "plant/v1.2/cmd");
    EXPECT_EQ(got.origin, "gateway-2");
    EXPECT_EQ(got.qos, wire::QoS::exactly_once);
    EXPECT_TRUE(got.retain);
    EXPECT_EQ(got.content_type, "text/plain");
    EXPECT_EQ(got.response_topic, "answers/v1.2/50%");
    EXPECT_EQ(got.correlation_data, "call 9");
    EXPECT_EQ(got.payload_is_text, true);
    EXPECT_EQ(got.expiry_interval_s, 3601U);
    const std::vector<std::pair<std::string, std::string>> expected{
        {"amqp-message-id", "gateway-2-9"},
        {"amqp-reply-to", "answers"},
        {"site", "Jülich"},
        {"small", "-5"},
        {"large", "-5000000000"},
        {"real", "0.5"},
        {"exact", "0.05"},
        {"time", "1700000000"},
        {"list", R"([{"queue":"q\"1","count":3,"none":null},true])"},
        {"none", ""}};
    EXPECT_EQ(got.headers, expected);
}

TEST_F(AmqpDown, a_message_of_the_servers_mqtt_plugin_has_its_topic_in_the_routing_key) {
    AmqpClient(node_->port()).make_queue(place_, "amq.topic", place_ + ".#");
    std::array<amqp_table_entry_t, 2> headers{
        entry_of("x-mqtt-publish-qos", AMQP_FIELD_KIND_I8, [](auto& v) { v.i8 = 1; }),
        entry_of("x-mqtt-dup", AMQP_FIELD_KIND_BOOLEAN, [](auto& v) { v.boolean = 0; })};
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_HEADERS_FLAG;
    properties.headers = {headers.size(), headers.data()};
    AmqpClient(node_->port()).publish(place_ + ".valve.7", "open", properties, "amq.topic");
    AmqpClient(node_->port()).publish(place_ + ".valve.8", "open", {}, "amq.topic");
    start();
    ASSERT_TRUE(feeder_.wait_incoming(2)) << last_problem();
    EXPECT_EQ(incoming(0).mqtt_topic, place_ + "/valve/7");
    EXPECT_EQ(incoming(0).source, place_ + ".valve.7");
    EXPECT_EQ(incoming(0).qos, wire::QoS::at_least_once);
    EXPECT_TRUE(incoming(0).headers.empty());
    EXPECT_EQ(incoming(1).mqtt_topic, "") << "it says nothing of MQTT";
}

TEST_F(AmqpDown, our_own_upward_message_comes_back_as_it_was) {
    settings_.spec.routes.push_back({"plant/#", "test.toml:5", settings_.module->make_route_settings()});
    peer_->configure_place(settings_, place_);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/v1.2/a", "x");
    ASSERT_TRUE(feeder_.wait_incoming(1)) << last_problem();
    EXPECT_EQ(incoming(0).source, place_ + ".plant.v1%2E2.a");
    EXPECT_EQ(incoming(0).mqtt_topic, "plant/v1.2/a");
    EXPECT_EQ(incoming(0).origin, "gateway-1");
    EXPECT_EQ(incoming(0).qos, wire::QoS::at_least_once);
}

TEST_F(AmqpDown, only_what_is_settled_is_acknowledged) {
    make_queue();
    publish_numbers(5);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    ASSERT_TRUE(feeder_.wait_incoming(5)) << last_problem();
    settle(3);  // behind those that are open
    settle(0);
    settle(1);
    // The answers are out when what is published after them has come.
    publish("5");
    ASSERT_TRUE(feeder_.wait_incoming(6));
    break_connections();
    ASSERT_TRUE(feeder_.wait_incoming(9)) << last_problem();
    EXPECT_EQ(incoming(6).payload, "2");
    EXPECT_EQ(incoming(7).payload, "4");
    EXPECT_EQ(incoming(8).payload, "5");
    EXPECT_NE(incoming(6).token, incoming(2).token);
    settle(2);  // void: no answer to what has come since
    publish("6");
    ASSERT_TRUE(feeder_.wait_incoming(10));
    for (std::size_t i = 6; i < 10; ++i) settle(i);
    connector_->settle({{1'000'000, true, ""}});  // never known
    connector_->stop(milliseconds(1000));
    EXPECT_TRUE(wait_depth(0)) << depth();
}

TEST_F(AmqpDown, stop_waits_a_little_for_what_is_just_made_durable_and_the_rest_comes_again) {
    make_queue();
    publish_numbers(3);
    start();
    ASSERT_TRUE(feeder_.wait_incoming(3)) << last_problem();
    settle(0);
    const auto begin = std::chrono::steady_clock::now();
    connector_->stop(milliseconds(2000));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(1900));
    EXPECT_TRUE(wait_depth(2)) << depth();
}

TEST_F(AmqpDown, what_cannot_be_used_goes_to_the_dead_letter_exchange) {
    const std::string dead = place_ + "-dead";
    AmqpClient(node_->port()).make_queue(dead, "amq.topic", place_);
    std::array<amqp_table_entry_t, 1> arguments{text_entry("x-dead-letter-exchange", "amq.topic")};
    make_queue({arguments.size(), arguments.data()});
    settings_.down("message_bytes_max", std::int64_t{2000});
    publish_numbers(4);
    publish(std::string(2001, 'x'));
    start();
    ASSERT_TRUE(feeder_.wait_incoming(4)) << last_problem();
    settle(2, /*kept=*/false);  // alone, behind open ones
    settle(0);
    settle(1, /*kept=*/false);
    settle(3);
    Received rejected;
    std::vector<std::string> payloads;
    AmqpClient client(node_->port());
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (payloads.size() < 3 && std::chrono::steady_clock::now() < deadline)
        if (client.get(dead, rejected)) payloads.push_back(rejected.payload);
    std::sort(payloads.begin(), payloads.end());
    EXPECT_EQ(payloads, (std::vector<std::string>{"1", "2", std::string(2001, 'x')}));
    connector_->stop(milliseconds(1000));
    EXPECT_TRUE(wait_depth(0)) << depth();
    EXPECT_EQ(incoming_count(), 4U);
}

TEST_F(AmqpDown, no_more_than_the_prefetch_is_unsettled) {
    make_queue();
    publish_numbers(10);
    settings_.down("prefetch", std::int64_t{3});
    start();
    ASSERT_TRUE(feeder_.wait_incoming(3)) << last_problem();
    EXPECT_FALSE(feeder_.wait([&] { return feeder_.incoming_.size() > 3; }, milliseconds(300)));
    settle(1);
    ASSERT_TRUE(feeder_.wait_incoming(4));
    EXPECT_FALSE(feeder_.wait([&] { return feeder_.incoming_.size() > 4; }, milliseconds(300)));
}

TEST_F(AmqpDown, rows_share_what_may_be_unsettled) {
    make_queue();
    AmqpClient(node_->port()).make_queue(place_ + "-2", "", "");
    settings_.add_down();
    settings_.down("queue", place_ + "-2", 1);
    settings_.spec.down_inflight_max = 5;
    AmqpClient client(node_->port());
    for (int i = 0; i < 5; ++i) {
        client.publish(place_, "a");
        client.publish(place_ + "-2", "b");
    }
    start();
    ASSERT_TRUE(feeder_.wait_incoming(4)) << last_problem();
    EXPECT_FALSE(feeder_.wait([&] { return feeder_.incoming_.size() > 4; }, milliseconds(300)));
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(incoming(i).route, incoming(i).payload == "a" ? 0U : 1U);
    for (std::size_t i = 0; i < 4; ++i) settle(i);
    ASSERT_TRUE(feeder_.wait_incoming(8));
}

}  // namespace
}  // namespace sluice::bridge::test
