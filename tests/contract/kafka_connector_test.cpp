/// What only the kafka connector does.
#include <set>

#include "tests/contract/connector_fixture.hpp"
#include "tests/contract/kafka_records.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/properties.hpp"

namespace sluice::bridge::test {
namespace {

using std::chrono::milliseconds;

class KafkaConnector : public ConnectorFixture {
  protected:
    void SetUp() override {
        if (!use("kafka")) GTEST_SKIP() << why_;
    }
    Confirm confirm_of(std::uint64_t tag) {
        return feeder_.read([&] { return feeder_.confirmed_.at({0, tag}); });
    }
    std::string create_error() {
        const auto created = settings_.module->create(settings_.spec);
        return created.ok() ? "" : created.error();
    }
    /// Route 1 has this topic written out.
    void start_with_second_route(const std::string& topic) {
        settings_.spec.routes.push_back({"x/#", "test.toml:9", settings_.module->make_route_settings()});
        settings_.route("topic", topic, 1);
        start();
    }
    void publish_second(std::string_view payload) {
        core::Message::Fields fields;
        fields.topic = "x/y";
        fields.payload = as_bytes(payload);
        fields.client_id = "device";
        feeder_.publish(1, 1, core::Message::freeze(fields));
    }
};

/// The same from the mock and from a real Kafka.
class KafkaRecords : public KafkaConnector, public ::testing::WithParamInterface<std::string> {
  protected:
    void SetUp() override {
        if (!use(GetParam())) GTEST_SKIP() << why_;
    }
};
INSTANTIATE_TEST_SUITE_P(peers, KafkaRecords, ::testing::Values("kafka", "kafka_real"),
                         [](const auto& parameter) { return parameter.param; });

TEST_P(KafkaRecords, key_and_headers_say_what_mqtt_said) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    sluice::test::PropertyBytes properties;
    properties.payload_format(1)
        .content_type("application/json")
        .response_topic("answers/7")
        .correlation_data(std::string_view("\xff\x00\x01", 3))
        .user("site", "Jülich")
        .user("mqtt.client_id", "forged")
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
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    const auto all = peer_->receive(place_, 1);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].key, "device-7");
    auto headers = all[0].headers;
    EXPECT_LE(std::stoi(headers["message-expiry-interval"]), 3600);
    EXPECT_GT(std::stoi(headers["message-expiry-interval"]), 3500);
    headers.erase("message-expiry-interval");
    const std::map<std::string, std::string> expected{{"mqtt.topic", "plant/7/telemetry"},
                                                      {"mqtt.qos", "2"},
                                                      {"mqtt.retain", "true"},
                                                      {"mqtt.client_id", "device-7"},
                                                      {"content-type", "application/json"},
                                                      {"response-topic", "answers/7"},
                                                      {"correlation-data", std::string("\xff\x00\x01", 3)},
                                                      {"payload-format-indicator", "1"},
                                                      {"site", "Jülich"}};
    EXPECT_EQ(headers, expected);
}

TEST_P(KafkaRecords, headers_can_be_left_out_and_a_key_be_empty) {
    peer_->configure_place(settings_, place_);
    settings_.route("headers", false);
    settings_.route("key", std::string());
    start();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/a", "x");
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    const auto all = peer_->receive(place_, 1);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_TRUE(all[0].headers.empty());
    EXPECT_EQ(all[0].key, "");
}

TEST_P(KafkaRecords, the_time_is_that_of_taking_in_or_that_of_sending) {
    peer_->configure_place(settings_, place_);
    settings_.route("key", std::string("{received}"));
    core::Message::Fields fields;
    fields.topic = "plant/a";
    fields.received = WallTime(Feeder::now() - std::chrono::hours(1));
    const auto carry = [&](std::int64_t timestamp, std::size_t count) {
        settings_.bridge("timestamp", timestamp);
        start();
        feeder_.publish(0, fields);
        EXPECT_TRUE(feeder_.wait_confirmed(count)) << last_down();
        connector_->stop(milliseconds(100));
    };
    const auto ms_of = [](WallTime time) { return time.time_since_epoch().count(); };
    carry(0, 1);
    const WallTime before = Feeder::now();
    carry(1, 2);
    auto all = read_topic(peer_->address(), place_, 2);
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].timestamp_ms, ms_of(fields.received));
    EXPECT_FALSE(all[0].received.headers.contains("sluice.received"));
    EXPECT_GE(all[1].timestamp_ms, ms_of(before));
    EXPECT_LE(all[1].timestamp_ms, ms_of(Feeder::now()));
    EXPECT_EQ(all[1].received.headers["sluice.received"], all[1].received.key);
}

TEST_P(KafkaRecords, the_topic_is_made_of_the_message_and_a_bad_one_is_refused) {
    peer_->configure_place(settings_, place_ + ".plant.a");
    settings_.route("topic", place_ + ".{topic}");
    start();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/a", "good");
    feeder_.publish_text(0, "plant/ä", "bad");
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    EXPECT_EQ(confirm_of(1).outcome, Outcome::delivered);
    EXPECT_EQ(confirm_of(2).outcome, Outcome::refused);
    EXPECT_NE(confirm_of(2).reason.find("plant.ä"), std::string::npos) << confirm_of(2).reason;
    EXPECT_EQ(peer_->receive(place_ + ".plant.a", 1).size(), 1U);
}

TEST_F(KafkaConnector, a_missing_topic_stalls_its_lane_only_and_goes_on_when_it_is_there) {
    peer_->configure_place(settings_, place_);
    const std::string missing = place_ + "-missing";
    ASSERT_EQ(peer_->ask("topic_error " + missing + " 3"), "ok");
    start_with_second_route(missing);
    ASSERT_TRUE(feeder_.wait_up());
    for (const char* payload : {"1", "2", "3"}) publish_second(payload);
    feeder_.publish_text(0, "plant/a", "other");
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    ASSERT_TRUE(feeder_.wait([&] {
        return !feeder_.stalls_.empty() && feeder_.stalls_.back().find(missing) != std::string::npos;
    })) << "the stall was not told";
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U);
    ASSERT_EQ(peer_->ask("topic_error " + missing + " 0"), "ok");
    ASSERT_TRUE(feeder_.wait_confirmed(4));
    ASSERT_TRUE(feeder_.wait([&] { return feeder_.stalls_.back().empty(); })) << "the stall did not end";
    const auto all = peer_->receive(missing, 3);
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].payload + all[1].payload + all[2].payload, "123");
}

TEST_F(KafkaConnector, the_innocent_of_a_refused_batch_are_delivered) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/a", "warm up");
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    ASSERT_EQ(peer_->ask("error 0 10 1"), "ok");  // the next batch is "too large"
    for (int i = 0; i < 50; ++i) feeder_.publish_text(0, "plant/a", std::to_string(i));
    ASSERT_TRUE(feeder_.wait_confirmed(51));
    for (std::uint64_t tag = 1; tag <= 51; ++tag) EXPECT_EQ(confirm_of(tag).outcome, Outcome::delivered);
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U);
    EXPECT_EQ(peer_->receive(place_, 51).size(), 51U);
}

TEST_F(KafkaConnector, a_suspect_whose_topic_is_missing_does_not_slow_the_others_down) {
    peer_->configure_place(settings_, place_);
    const std::string missing = place_ + "-missing";
    ASSERT_EQ(peer_->ask("topic " + missing + " 1"), "ok");
    start_with_second_route(missing);
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/a", "warm up");
    publish_second("warm up");
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    ASSERT_EQ(peer_->ask("topic_error " + missing + " 3"), "ok");
    ASSERT_EQ(peer_->ask("error 0 10 1"), "ok");  // "too large", and alone
    ASSERT_EQ(peer_->ask("error 0 29 1"), "ok");  // not allowed
    publish_second("suspect");
    ASSERT_TRUE(feeder_.wait([&] { return !feeder_.stalls_.empty() && !feeder_.stalls_.back().empty(); }));
    ASSERT_EQ(peer_->ask("rtt 200"), "ok");
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < 25; ++i) feeder_.publish_text(0, "plant/a", std::to_string(i));
    ASSERT_TRUE(feeder_.wait_confirmed(27));
    EXPECT_LT(std::chrono::steady_clock::now() - began, milliseconds(3000)) << "one at a time takes 5 s";
    ASSERT_EQ(peer_->ask("rtt 0"), "ok");
    ASSERT_EQ(peer_->ask("topic_error " + missing + " 0"), "ok");
    ASSERT_TRUE(feeder_.wait_confirmed(28));
}

TEST_F(KafkaConnector, what_is_refused_alone_too_is_refused) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/a", "warm up");
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    ASSERT_EQ(peer_->ask("error 0 10 2"), "ok");
    feeder_.publish_text(0, "plant/a", "too large");
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    EXPECT_EQ(confirm_of(2).outcome, Outcome::refused);
    EXPECT_NE(confirm_of(2).reason.find("too large"), std::string::npos) << confirm_of(2).reason;
    feeder_.publish_text(0, "plant/a", "after");
    ASSERT_TRUE(feeder_.wait_confirmed(3));
    EXPECT_EQ(confirm_of(3).outcome, Outcome::delivered);
}

TEST_F(KafkaConnector, retriable_errors_are_ridden_out_without_a_down) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    ASSERT_EQ(peer_->ask("error 0 19 3"), "ok");  // NOT_ENOUGH_REPLICAS
    for (int i = 0; i < 20; ++i) feeder_.publish_text(0, "plant/a", std::to_string(i));
    ASSERT_TRUE(feeder_.wait_confirmed(20));
    const auto all = peer_->receive(place_, 20);
    ASSERT_EQ(all.size(), 20U);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].payload, std::to_string(i));
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U);
}

TEST_F(KafkaConnector, when_partitions_change_their_leader_nothing_is_lost_and_the_order_stays) {
    // A cluster of its own, of two brokers; the second is learnt from the first.
    sluice::test::ChildProcess cluster({SLUICE_BINARY_DIR "/bin/kafka_mock", "2"});
    const auto ask = [&](const std::string& command) {
        return cluster.ask(command, std::chrono::seconds(20));
    };
    const std::string all_servers = cluster.read_line(std::chrono::seconds(20)).value_or("");
    const std::string server = all_servers.substr(0, all_servers.find(','));
    ASSERT_EQ(ask("topic " + place_ + " 1"), "ok");
    settings_.bridge("servers", std::vector<std::string>{server});
    settings_.route("topic", place_);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    constexpr std::size_t messages_per_leader = 200;
    std::size_t count = 0;
    for (const char* leader : {"1", "2", "1", "2"}) {
        ASSERT_EQ(ask("leader " + place_ + " 0 " + leader), "ok");
        for (std::size_t i = 0; i < messages_per_leader; ++i)
            feeder_.publish_text(0, "plant/a", std::to_string(count++));
    }
    ASSERT_TRUE(feeder_.wait_confirmed(count)) << last_down();
    std::set<std::string> seen;
    std::size_t next = 0;
    for (const Received& received : received_of(read_topic(server, place_, count))) {
        if (!seen.insert(received.payload).second) continue;
        EXPECT_EQ(received.payload, std::to_string(next));
        ++next;
    }
    EXPECT_EQ(next, count);
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U) << last_down();
}

TEST_F(KafkaConnector, after_a_fatal_error_a_new_producer_sends_everything_again) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/a", "warm up");
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    ASSERT_EQ(peer_->ask("error 0 45 1"), "ok");  // OUT_OF_ORDER_SEQUENCE_NUMBER
    for (int i = 0; i < 20; ++i) feeder_.publish_text(0, "plant/a", std::to_string(i));
    ASSERT_TRUE(feeder_.wait_confirmed(21)) << last_down();
    for (std::uint64_t tag = 1; tag <= 21; ++tag) EXPECT_EQ(confirm_of(tag).outcome, Outcome::delivered);
    EXPECT_GE(feeder_.read([&] { return feeder_.downs_.size(); }), 1U);
    EXPECT_GE(peer_->receive(place_, 21).size(), 21U);
}

TEST_F(KafkaConnector, a_slow_cluster_is_not_a_dead_one) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    ASSERT_EQ(peer_->ask("rtt 400"), "ok");
    for (int i = 0; i < 50; ++i) feeder_.publish_text(0, "plant/a", std::to_string(i));
    EXPECT_TRUE(feeder_.wait_confirmed(50));
    ASSERT_EQ(peer_->ask("rtt 0"), "ok");
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U);
}

TEST_F(KafkaConnector, a_message_goes_as_a_cloud_event_and_an_empty_one_is_no_tombstone) {
    settings_.spec.origin = "gate-1";
    settings_.route("cloudevents", true);
    settings_.route("headers", false);
    settings_.route("ce_type", std::string("com.example.{topic[0]}"));
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    sluice::test::PropertyBytes properties;
    properties.content_type("text/plain").user("ce_id", "forged");
    core::Message::Fields fields;
    fields.topic = "plant/7";
    fields.properties = properties.bytes;
    fields.client_id = "device-7";
    fields.received = WallTime(std::chrono::milliseconds(1'709'251'199'042));
    feeder_.publish(0, fields);
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    const auto all = peer_->receive(place_, 1);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_TRUE(all[0].has_payload);
    EXPECT_EQ(all[0].payload, "");
    const std::map<std::string, std::string> expected{{"ce_specversion", "1.0"},
                                                      {"ce_id", "gate-1-1"},
                                                      {"ce_source", "/mqtt/gate-1"},
                                                      {"ce_type", "com.example.plant"},
                                                      {"ce_time", "2024-02-29T23:59:59.042Z"},
                                                      {"ce_subject", "plant/7"},
                                                      {"content-type", "text/plain"}};
    EXPECT_EQ(all[0].headers, expected);
}

TEST_F(KafkaConnector, an_event_of_a_device_keeps_its_attributes) {
    settings_.route("cloudevents", true);
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    sluice::test::PropertyBytes properties;
    properties.user("specversion", "1.0").user("id", "9").user("source", "/pump").user("type", "x");
    properties.user("datacontenttype", "text/plain").user("Site", "a").user("ce_id", "forged");
    core::Message::Fields fields;
    fields.topic = "plant/7";
    fields.properties = properties.bytes;
    fields.payload = as_bytes("data");
    feeder_.publish(0, fields);
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    const auto all = peer_->receive(place_, 1);
    ASSERT_EQ(all.size(), 1U);
    const std::map<std::string, std::string> expected{{"ce_specversion", "1.0"},
                                                      {"ce_id", "9"},
                                                      {"ce_source", "/pump"},
                                                      {"ce_type", "x"},
                                                      {"content-type", "text/plain"},
                                                      {"mqtt.topic", "plant/7"},
                                                      {"mqtt.qos", "0"},
                                                      {"mqtt.retain", "false"},
                                                      {"Site", "a"}};
    EXPECT_EQ(all[0].headers, expected);
}

TEST_F(KafkaConnector, a_message_without_what_the_templates_ask_for_is_unmappable) {
    settings_.route("key", std::string("{payload.id}"));
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/a", R"({"id": 7})");
    feeder_.publish_text(0, "plant/a", R"({"id": [7]})");
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    EXPECT_EQ(confirm_of(1).outcome, Outcome::delivered);
    EXPECT_EQ(confirm_of(2).outcome, Outcome::unmappable);
    EXPECT_EQ(confirm_of(2).reason, "'{payload.id}': payload.id is no plain value");
    const auto all = peer_->receive(place_, 1);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].key, "7");
}

TEST_F(KafkaConnector, what_a_topic_cannot_have_in_its_name_may_be_replaced) {
    peer_->configure_place(settings_, place_ + ".plant.a_b_c");
    settings_.route("topic", place_ + ".{topic}");
    settings_.route("topic_illegal", std::int64_t{1});
    start();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/aäb c", "x");
    feeder_.publish_text(0, "plant/" + std::string(300, 'x'), "too long");
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    EXPECT_EQ(confirm_of(1).outcome, Outcome::delivered) << confirm_of(1).reason;
    EXPECT_EQ(confirm_of(2).outcome, Outcome::refused);
    EXPECT_EQ(peer_->receive(place_ + ".plant.a_b_c", 1).size(), 1U);
}

TEST_F(KafkaConnector, create_names_what_is_wrong) {
    settings_.route("topic", std::string("a/{topic[x]}"));
    EXPECT_EQ(create_error(),
              "test.toml:5: topic: column 10: bad topic level; expected a number from 0 and ']', as in "
              "{topic[1]}");
    settings_.route("topic", std::string("a/b"));
    EXPECT_NE(create_error().find("test.toml:5: topic: the topic name 'a/b' has other characters"),
              std::string::npos)
        << create_error();
    settings_.route("topic", std::string("ok"));
    settings_.route("cloudevents", true);
    settings_.route("ce_source", std::string("{"));
    EXPECT_EQ(create_error().substr(0, 34), "test.toml:5: ce_source: column 1: ");
    settings_.route("cloudevents", false);
    settings_.bridge("options", std::vector<std::string>{"acks=0"});
    EXPECT_NE(create_error().find("'acks' is set by the bridge itself"), std::string::npos) << create_error();
    settings_.bridge("options", std::vector<std::string>{"no.such.thing=1"});
    EXPECT_NE(create_error().find("no.such.thing"), std::string::npos) << create_error();
    settings_.bridge("options", std::vector<std::string>{"ssl.key.password=hunter2"});
    EXPECT_EQ(create_error().find("hunter2"), std::string::npos);
    settings_.bridge("options", std::vector<std::string>{"socket.nagle.disable=true"});
    EXPECT_EQ(create_error(), "");
}

}  // namespace
}  // namespace sluice::bridge::test
