/// What only the mqtt connector does, on the way up.
#include "tests/contract/mqtt_fixture.hpp"

namespace sluice::bridge::test {
namespace {

using MqttConnector = MqttConnectorFixture;

TEST_F(MqttConnector, properties_identity_expiry_and_retain_arrive_as_mqtt_has_them) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish(0, fields_with_everything());
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    const auto all = peer_->receive(place_, 1);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].key, place_ + "/plant/v1/telemetry");
    EXPECT_EQ(all[0].payload, "{}");
    auto headers = all[0].headers;
    EXPECT_LE(std::stoi(headers["@expiry_s"]), 3600);
    EXPECT_GT(std::stoi(headers["@expiry_s"]), 3500);
    headers.erase("@expiry_s");
    const std::map<std::string, std::string> expected{{"@content_type", "application/json"},
                                                      {"@response_topic", "answers/7"},
                                                      {"@correlation_data", "call 9"},
                                                      {"@is_text", "1"},
                                                      {"@qos", "1"},
                                                      {"@retain", "1"},
                                                      {"sluice-id", "gateway-1-1"},
                                                      {"sluice-sequence", "1"},
                                                      {"sluice-origin", "gateway-1"},
                                                      {"site", "Jülich"},
                                                      {"line", "4"}};
    EXPECT_EQ(headers, expected);
}

TEST_F(MqttConnector, the_retain_flag_stays_behind_by_route_and_by_bridge) {
    for (const bool by_route : {true, false}) {
        settings_ = make_settings(*settings_.module);
        use_fake();
        if (by_route) {
            settings_.route("retain", std::int64_t{1});
        } else {
            settings_.bridge("retain", false);
        }
        start();
        auto link = fake_.welcome();
        feeder_.publish(0, fields_with_everything());
        const auto publish = link->next_publish();
        ASSERT_TRUE(publish);
        EXPECT_FALSE(publish->retain);
        connector_->stop(milliseconds(0));
        feeder_.read([&] {
            feeder_.pending_.clear();
            return 0;
        });
    }
}

TEST_F(MqttConnector, version_3_1_1_delivers_without_properties) {
    settings_.bridge("protocol", std::int64_t{1});
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish(0, fields_with_everything());
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    const auto all = peer_->receive(place_, 1);
    ASSERT_EQ(all.size(), 1U);
    const std::map<std::string, std::string> expected{{"@qos", "1"}, {"@retain", "1"}};
    EXPECT_EQ(all[0].headers, expected);
}

TEST_F(MqttConnector, connect_says_version_identity_and_login) {
    use_fake();
    settings_.bridge("client_id", std::string());
    settings_.bridge("user", std::string("plant"));
    settings_.bridge("password", std::string("hunter2"));
    start();
    auto link = fake_.accept();
    const ByteBuffer body = link->take_connect();
    const auto connect = wire::decode_connect(body);
    ASSERT_TRUE(connect.ok());
    EXPECT_EQ(connect->version, wire::Version::v5);
    EXPECT_EQ(connect->client_id, "sluice-test-gateway-1");
    EXPECT_EQ(connect->keep_alive_s, 2);
    EXPECT_TRUE(connect->clean_start) << "there is no down direction: the server has nothing to keep";
    EXPECT_EQ(connect->user_name, "plant");
    EXPECT_EQ(as_text(connect->password.value_or(Bytes{})), "hunter2");
    link->send_connack({.code = wire::ReasonCode::bad_user_name_or_password});
    ASSERT_TRUE(feeder_.wait_down());
    EXPECT_NE(last_down().find(fake_.address()), std::string::npos) << last_down();
    EXPECT_NE(last_down().find("user 'plant': bad user name or password (reason code 0x86)"),
              std::string::npos)
        << last_down();
    EXPECT_EQ(last_down().find("hunter2"), std::string::npos);
}

TEST_F(MqttConnector, after_a_lost_connection_each_message_is_sent_once_more_and_marked) {
    use_fake();
    start();
    auto link = fake_.welcome();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 3);
    for (int i = 0; i < 3; ++i) {
        const auto publish = link->next_publish();
        ASSERT_TRUE(publish);
        EXPECT_FALSE(publish->dup);
        if (i == 0) link->send_puback(publish->packet_id);
    }
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    link->close();
    link = fake_.welcome({.session_present = true});
    for (int i = 1; i < 3; ++i) {
        const auto publish = link->next_publish();
        ASSERT_TRUE(publish);
        EXPECT_EQ(publish->payload, std::to_string(i));
        EXPECT_TRUE(publish->dup);
        link->send_puback(publish->packet_id);
    }
    ASSERT_TRUE(feeder_.wait_confirmed(3));
    EXPECT_FALSE(link->next(milliseconds(100))) << "sent twice";
}

TEST_F(MqttConnector, a_server_that_confirms_nothing_is_shown_as_stalled) {
    use_fake();
    settings_.bridge("confirm_timeout", std::int64_t{1000});
    start();
    auto link = fake_.welcome();
    publish_numbers(0, 1);
    const auto publish = link->next_publish();
    ASSERT_TRUE(publish);
    for (int i = 0; i < 100 && !feeder_.wait([&] { return !feeder_.stalls_.empty(); }, milliseconds(20)); ++i)
        link->next(milliseconds(20));  // answers pings
    ASSERT_TRUE(wait_stall("confirmed nothing for 1 s"));
    EXPECT_EQ(downs(), 0U);
    link->send_puback(publish->packet_id);
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    EXPECT_TRUE(feeder_.wait([&] { return feeder_.stalls_.back().empty(); }));
}

TEST_F(MqttConnector, the_servers_goodbye_is_told) {
    use_fake();
    start();
    auto link = fake_.welcome();
    ASSERT_TRUE(feeder_.wait_up());
    wire::Disconnect goodbye{.code = wire::ReasonCode::session_taken_over};
    goodbye.properties.reason_string = "two of a name";
    ByteBuffer bytes;
    wire::encode_disconnect(bytes, wire::Version::v5, goodbye);
    link->send(bytes);
    link->close();
    ASSERT_TRUE(feeder_.wait_down());
    EXPECT_NE(last_down().find("session taken over (reason code 0x8e): two of a name"), std::string::npos)
        << last_down();
}

TEST_F(MqttConnector, damaged_bytes_from_the_server_end_the_connection_and_are_told) {
    const std::vector<std::pair<ByteBuffer, std::string>> cases{
        {{0x00, 0x00}, "bad packet"},
        {{0x40, 0x01, 0x07}, "bad PUBACK"},
        {{0x30, 0x03, 0x00, 0x09, 'x'}, "bad PUBLISH"},
        {{0x90, 0x02, 0x00, 0x01}, "bad SUBACK"},
        {{0x20, 0x03, 0x00, 0x00, 0x00}, "packet of type 2 unasked"},
        {{0x34, 0x06, 0x00, 0x01, 't', 0x00, 0x01, 0x00}, "QoS 2"},
    };
    use_fake();
    start();
    for (const auto& [bytes, words] : cases) {
        const auto before = downs();
        auto link = fake_.welcome();
        link->send(bytes);
        ASSERT_TRUE(feeder_.wait_down(before));
        EXPECT_NE(last_down().find(words), std::string::npos) << last_down();
    }
}

TEST_F(MqttConnector, a_server_that_speaks_no_mqtt_or_only_3_1_1_is_named) {
    use_fake();
    start();
    fake_.accept()->send({'H', 'T', 'T', 'P', '/', '1', '.', '1'});
    ASSERT_TRUE(feeder_.wait_down());
    EXPECT_NE(last_down().find(fake_.address() + ": "), std::string::npos) << last_down();
    auto link = fake_.accept();
    link->take_connect();
    link->send({0x20, 0x02, 0x00, 0x01});
    ASSERT_TRUE(feeder_.wait_down(1));
    EXPECT_NE(last_down().find("expected protocol = \"3.1.1\""), std::string::npos) << last_down();
}

TEST_F(MqttConnector, what_makes_no_topic_is_refused) {
    settings_.spec.routes.push_back({"x/#", "test.toml:9", settings_.module->make_route_settings()});
    settings_.route("topic", std::string("a/{property.site}"));
    settings_.route("topic", std::string("{client_id}"), 1);
    use_fake();
    start();
    auto link = fake_.welcome();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/a", "x");
    core::Message::Fields fields;
    fields.topic = "x/y";
    fields.client_id = "a+b#";
    feeder_.publish(0, 1, core::Message::freeze(fields));
    fields.client_id = "";
    feeder_.publish(0, 1, core::Message::freeze(fields));
    ASSERT_TRUE(feeder_.wait_confirmed(3));
    EXPECT_EQ(confirm_of(1).reason, "'a/{property.site}': the message has no user property 'site'");
    EXPECT_NE(confirm_of(2).reason.find("'a+b#' is no topic name"), std::string::npos)
        << confirm_of(2).reason;
    EXPECT_NE(confirm_of(3).reason.find("'' is no topic name"), std::string::npos) << confirm_of(3).reason;
}

TEST_F(MqttConnector, the_next_server_is_tried_when_one_is_down_and_kept) {
    settings_.bridge("servers", std::vector<std::string>{"127.0.0.1:1", fake_.address()});
    start();
    auto link = fake_.welcome();
    ASSERT_TRUE(feeder_.wait_up());
    EXPECT_EQ(downs(), 1U);
    EXPECT_NE(last_down().find("127.0.0.1:1: Connection refused"), std::string::npos) << last_down();
    link->close();
    link = fake_.welcome();
    ASSERT_TRUE(feeder_.wait([&] { return feeder_.ups_ == 2; }));
    EXPECT_EQ(downs(), 2U) << "the server that was there is the first to be tried again";
}

TEST_F(MqttConnector, an_idle_connection_stays_and_a_silent_server_is_given_up) {
    settings_.bridge("keep_alive", std::int64_t{1000});
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.wait([] { return false; }, milliseconds(3500));  // more than twice what the server waits
    EXPECT_EQ(downs(), 0U);
    connector_->stop(milliseconds(0));
    use_fake();
    start();
    auto link = fake_.welcome();  // and answers no ping
    ASSERT_TRUE(feeder_.wait_down());
    EXPECT_NE(last_down().find("no sign of life"), std::string::npos) << last_down();
}

TEST_F(MqttConnector, create_names_what_is_wrong) {
    settings_.route("topic", std::string("{tpoic}"));
    EXPECT_TRUE(create_error().starts_with(
        "test.toml:5: topic: column 2: unknown placeholder 'tpoic'; expected topic, "))
        << create_error();
    settings_.route("topic", std::string("{topic}"));
    settings_.add_down();
    settings_.down("filter", std::string("a/#/b"));
    EXPECT_NE(create_error().find("test.toml:7: filter: 'a/#/b' is no topic filter; expected"),
              std::string::npos)
        << create_error();
    settings_.down("filter", std::string("$share/g/a"));
    EXPECT_EQ(create_error(), "");
    settings_.bridge("protocol", std::int64_t{1});
    EXPECT_NE(create_error().find("is a shared subscription; expected protocol"), std::string::npos);
    settings_.down("filter", std::string("a"));
    settings_.bridge("password", std::string("hunter2"));
    EXPECT_NE(create_error().find("test.toml:1: password: "), std::string::npos);
    settings_.bridge("user", std::string("u"));
    settings_.bridge("certificate", std::string("/x.crt"));
    EXPECT_NE(create_error().find("test.toml:1: certificate: there is no `key`"), std::string::npos);
}

}  // namespace
}  // namespace sluice::bridge::test
