/// What comes down by the mqtt connector, and when the server is told that we have it.
#include <thread>

#include "tests/contract/mqtt_fixture.hpp"

namespace sluice::bridge::test {
namespace {

class MqttConnectorDown : public MqttConnectorFixture {
  protected:
    void SetUp() override {
        MqttConnectorFixture::SetUp();
        if (IsSkipped()) return;
        settings_.add_down();
        settings_.down("filter", place_ + "/#");
    }
    /// A connector against the fake broker, with its subscription granted.
    std::unique_ptr<sluice::test::FakeMqttLink> start_with_fake() {
        use_fake();
        start();
        auto link = fake_.welcome();
        link->grant();
        EXPECT_TRUE(feeder_.wait_source());
        return link;
    }
    wire::Publish publish_of(wire::PacketId id, std::string_view payload = "x") {
        topic_ = place_ + "/a";
        return {.topic = topic_,
                .payload = as_bytes(payload),
                .qos = id ? wire::QoS::at_least_once : wire::QoS::at_most_once,
                .packet_id = id};
    }
    void restart() {
        connector_->stop(milliseconds(0));
        feeder_.read([&] {
            feeder_.sources_.clear();
            feeder_.incoming_.clear();
            return 0;
        });
        start();
    }
    std::string topic_;
};

TEST_F(MqttConnectorDown, a_message_comes_with_all_that_mqtt_says) {
    start();
    ASSERT_TRUE(feeder_.wait_source());
    MqttClient(broker_->ports().plain, "publisher")
        .publish({.topic = place_ + "/valve/7",
                  .payload = "open",
                  .retain = true,
                  .content_type = "text/plain",
                  .response_topic = "answers",
                  .correlation_data = "9",
                  .is_text = true,
                  .expiry_s = 3600,
                  .user_properties = {{"b", "2"}, {"sluice-origin", "gateway-2"}, {"a", "1"}, {"b", "3"}}});
    ASSERT_TRUE(feeder_.wait_incoming(1));
    const Incoming got = incoming(0);
    EXPECT_EQ(got.route, 0U);
    EXPECT_EQ(got.source, place_ + "/valve/7");
    EXPECT_EQ(got.payload, "open");
    EXPECT_EQ(got.key, "");
    EXPECT_EQ(got.mqtt_topic, got.source);
    EXPECT_EQ(got.origin, "gateway-2");
    EXPECT_EQ(got.qos, wire::QoS::at_least_once);
    EXPECT_TRUE(got.retain);
    EXPECT_EQ(got.content_type, "text/plain");
    EXPECT_EQ(got.response_topic, "answers");
    EXPECT_EQ(got.correlation_data, "9");
    EXPECT_EQ(got.payload_is_text, true);
    ASSERT_TRUE(got.expiry_interval_s);
    EXPECT_GT(*got.expiry_interval_s, 3500U);
    const std::vector<std::pair<std::string, std::string>> headers{{"b", "2"}, {"a", "1"}, {"b", "3"}};
    EXPECT_EQ(got.headers, headers);
}

TEST_F(MqttConnectorDown, what_was_not_settled_comes_again_and_what_was_does_not) {
    start();
    ASSERT_TRUE(feeder_.wait_source());
    MqttClient publisher(broker_->ports().plain, "publisher");
    publisher.publish({.topic = place_ + "/a", .payload = "1"});
    publisher.publish({.topic = place_ + "/a", .payload = "2"});
    ASSERT_TRUE(feeder_.wait_incoming(2));
    settle(0);
    // Its acknowledgement is out when what comes after it is handled.
    publisher.publish({.topic = place_ + "/a", .payload = "3"});
    ASSERT_TRUE(feeder_.wait_incoming(3));
    restart();
    ASSERT_TRUE(feeder_.wait_incoming(2));
    EXPECT_EQ(incoming(0).payload, "2");
    EXPECT_EQ(incoming(1).payload, "3");
    settle(0);
    settle(1);
    publisher.publish({.topic = place_ + "/a", .payload = "4"});
    ASSERT_TRUE(feeder_.wait_incoming(3));
    settle(2);
    connector_->stop(milliseconds(1000));
    publisher.publish({.topic = place_ + "/a", .payload = "5"});  // waits at the broker
    restart();
    ASSERT_TRUE(feeder_.wait_incoming(1));
    EXPECT_EQ(incoming(0).payload, "5");
}

TEST_F(MqttConnectorDown, after_an_outage_of_the_server_unsettled_messages_come_again) {
    start();
    ASSERT_TRUE(feeder_.wait_source());
    MqttClient(broker_->ports().plain, "publisher").publish({.topic = place_ + "/a", .payload = "1"});
    ASSERT_TRUE(feeder_.wait_incoming(1));
    peer_->down();
    ASSERT_TRUE(feeder_.wait([&] { return !feeder_.sources_.back().empty(); }));
    peer_->up();
    ASSERT_TRUE(feeder_.wait_incoming(2)) << last_down();
    EXPECT_EQ(incoming(1).payload, "1");
    EXPECT_NE(incoming(1).token, incoming(0).token);
    settle(0);  // void: no answer to what has come since
    settle(1);
    ASSERT_TRUE(feeder_.wait_source());
}

TEST_F(MqttConnectorDown, the_acknowledgement_waits_for_settle_and_keeps_the_order) {
    auto link = start_with_fake();
    for (const wire::PacketId id : {7, 8, 9}) link->send_publish(publish_of(id));
    ASSERT_TRUE(feeder_.wait_incoming(3));
    EXPECT_FALSE(link->next(milliseconds(200))) << "acknowledged before it was safe";
    settle(1);
    EXPECT_FALSE(link->next(milliseconds(200))) << "acknowledged out of order";
    settle(0);
    EXPECT_EQ(link->next_puback(), std::pair(wire::PacketId{7}, std::uint8_t{0}));
    EXPECT_EQ(link->next_puback(), std::pair(wire::PacketId{8}, std::uint8_t{0}));
    settle(0);                                    // known no more
    connector_->settle({{1'000'000, true, ""}});  // never known
    settle(2, /*kept=*/false);
    EXPECT_EQ(link->next_puback(), std::pair(wire::PacketId{9}, std::uint8_t{0x83}));
    EXPECT_FALSE(link->next(milliseconds(50)));
    EXPECT_EQ(downs(), 0U);
}

TEST_F(MqttConnectorDown, connect_asks_for_a_session_and_for_no_more_than_may_be_unsettled) {
    settings_.spec.down_inflight_max = 5;
    use_fake();
    start();
    auto link = fake_.accept();
    const ByteBuffer body = link->take_connect();
    const auto connect = wire::decode_connect(body);
    ASSERT_TRUE(connect.ok());
    EXPECT_FALSE(connect->clean_start);
    EXPECT_EQ(connect->properties.session_expiry_interval_s, 7U * 24 * 3600);
    EXPECT_EQ(connect->properties.receive_maximum, 5);
    EXPECT_EQ(connect->properties.maximum_packet_size, 16U << 20);
    link->send_connack();
    const ByteBuffer asked = link->grant();
    const auto subscribe = wire::decode_subscribe(wire::Version::v5, asked);
    ASSERT_TRUE(subscribe.ok());
    EXPECT_EQ(subscribe->entries.at(0).filter, place_ + "/#");
    EXPECT_EQ(subscribe->entries.at(0).qos, wire::QoS::at_least_once);
    EXPECT_TRUE(subscribe->entries.at(0).no_local);
    EXPECT_TRUE(subscribe->entries.at(0).retain_as_published);
    ASSERT_TRUE(feeder_.wait_source());
}

TEST_F(MqttConnectorDown, clean_start_has_the_server_forget) {
    settings_.bridge("clean_start", true);
    use_fake();
    start();
    auto link = fake_.accept();
    const ByteBuffer body = link->take_connect();
    const auto connect = wire::decode_connect(body);
    ASSERT_TRUE(connect.ok());
    EXPECT_TRUE(connect->clean_start);
    EXPECT_FALSE(connect->properties.session_expiry_interval_s);
}

TEST_F(MqttConnectorDown, version_3_1_1_holds_back_what_is_too_much_and_refuses_nothing) {
    settings_.bridge("protocol", std::int64_t{1});
    settings_.spec.down_inflight_max = 2;
    auto link = start_with_fake();
    for (const wire::PacketId id : {1, 2, 3, 4}) link->send_publish(publish_of(id, std::to_string(id)));
    auto again = publish_of(2);
    again.dup = true;
    link->send_publish(again);  // as servers of this version may do
    ASSERT_TRUE(feeder_.wait_incoming(2));
    EXPECT_FALSE(feeder_.wait([&] { return feeder_.incoming_.size() > 2; }, milliseconds(200)));
    settle(0);
    EXPECT_EQ(link->next_puback(), std::pair(wire::PacketId{1}, std::uint8_t{0}));
    ASSERT_TRUE(feeder_.wait_incoming(3));
    settle(1, /*kept=*/false);
    EXPECT_EQ(link->next_puback(), std::pair(wire::PacketId{2}, std::uint8_t{0}));
    ASSERT_TRUE(feeder_.wait_incoming(4));
    EXPECT_EQ(incoming(3).payload, "4");
    EXPECT_EQ(incoming_count(), 4U);
}

TEST_F(MqttConnectorDown, version_3_1_1_subscribes_once_per_session) {
    settings_.bridge("protocol", std::int64_t{1});
    auto link = start_with_fake();
    link->close();
    link = fake_.welcome({.session_present = true});
    ASSERT_TRUE(feeder_.wait([&] { return feeder_.ups_ == 2; }));
    EXPECT_FALSE(link->next(milliseconds(100))) << "each SUBSCRIBE brings all retained messages again";
    ASSERT_TRUE(feeder_.wait_source());
    link->close();
    link = fake_.welcome();
    link->grant();
}

TEST_F(MqttConnectorDown, version_3_1_1_comes_down_from_a_real_server) {
    settings_.bridge("protocol", std::int64_t{1});
    MqttClient publisher(broker_->ports().plain, "publisher");
    publisher.publish({.topic = place_ + "/kept", .payload = "0", .retain = true});
    start();
    ASSERT_TRUE(feeder_.wait_source());
    publisher.publish({.topic = place_ + "/a", .payload = "1", .user_properties = {{"a", "b"}}});
    ASSERT_TRUE(feeder_.wait_incoming(2));
    EXPECT_EQ(incoming(0).payload, "0");
    EXPECT_TRUE(incoming(0).retain);
    EXPECT_EQ(incoming(1).payload, "1");
    EXPECT_FALSE(incoming(1).retain);
    EXPECT_TRUE(incoming(1).headers.empty());
}

TEST_F(MqttConnectorDown, qos_0_beyond_what_may_be_unsettled_is_dropped) {
    settings_.spec.down_inflight_max = 2;
    auto link = start_with_fake();
    for (int i = 0; i < 5; ++i) link->send_publish(publish_of(0, std::to_string(i)));
    link->send_publish(publish_of(1, "confirmed"));
    ASSERT_TRUE(feeder_.wait_incoming(2));
    settle(0);
    settle(1);
    ASSERT_TRUE(feeder_.wait_incoming(3));
    EXPECT_EQ(incoming(2).payload, "confirmed");
    settle(2);
    EXPECT_EQ(link->next_puback(), std::pair(wire::PacketId{1}, std::uint8_t{0}));
}

TEST_F(MqttConnectorDown, what_went_up_here_does_not_come_down_here) {
    settings_.route("topic", place_ + "/{topic}");
    start();
    ASSERT_TRUE(feeder_.wait_source());
    publish_numbers(0, 5);
    ASSERT_TRUE(feeder_.wait_confirmed(5));
    MqttClient(broker_->ports().plain, "publisher").publish({.topic = place_ + "/a", .payload = "foreign"});
    ASSERT_TRUE(feeder_.wait_incoming(1));
    EXPECT_EQ(incoming(0).payload, "foreign");
}

TEST_F(MqttConnectorDown, a_refused_filter_is_named_and_the_others_work) {
    settings_.add_down();
    settings_.down("filter", std::string("secret/+"), 1);
    use_fake();
    start();
    auto link = fake_.welcome();
    link->grant();
    link->grant(wire::ReasonCode::not_authorized);
    ASSERT_TRUE(feeder_.wait([&] { return !feeder_.sources_.empty(); }));
    EXPECT_EQ(feeder_.read([&] { return feeder_.sources_.back(); }),
              "the server refuses the subscription to 'secret/+': not authorized (reason code 0x87)");
    link->send_publish(publish_of(1));
    ASSERT_TRUE(feeder_.wait_incoming(1));
    EXPECT_EQ(feeder_.read([&] { return feeder_.ups_; }), 1U);
    link->grant();  // it is asked for again after 2.5 to 5 s
    ASSERT_TRUE(feeder_.wait_source());
}

TEST_F(MqttConnectorDown, the_first_row_that_matches_has_the_message_and_the_unmatched_is_acknowledged) {
    settings_.add_down();
    settings_.down("filter", place_ + "/a", 1);
    settings_.down("filter", std::string("$share/group/") + place_ + "/+");
    settings_.bridge("retain", false);
    use_fake();
    start();
    auto link = fake_.welcome();
    const ByteBuffer asked = link->grant();
    const auto subscribe = wire::decode_subscribe(wire::Version::v5, asked);
    ASSERT_TRUE(subscribe.ok());
    EXPECT_FALSE(subscribe->entries.at(0).no_local) << "a protocol error with a shared subscription";
    link->grant();
    ASSERT_TRUE(feeder_.wait_source());
    auto foreign = publish_of(1);
    foreign.topic = "elsewhere";
    link->send_publish(foreign);
    EXPECT_EQ(link->next_puback(), std::pair(wire::PacketId{1}, std::uint8_t{0}));
    auto retained = publish_of(2);
    retained.retain = true;
    link->send_publish(retained);
    ASSERT_TRUE(feeder_.wait_incoming(1));
    EXPECT_EQ(incoming(0).route, 0U);
    EXPECT_FALSE(incoming(0).retain);
}

/// Memory is bounded however large messages are; the connection lives on meanwhile.
TEST_F(MqttConnectorDown, what_is_unsettled_is_bounded_by_its_bytes) {
    auto link = start_with_fake();
    const std::string large(1'000'000, 'x');
    std::thread sender([&] {
        for (wire::PacketId id = 1; id <= 30; ++id) link->send_publish(publish_of(id, large));
    });
    feeder_.wait_incoming(9);
    // Longer than the server may be silent (keep_alive = 2s).
    EXPECT_FALSE(feeder_.wait([&] { return feeder_.incoming_.size() > 9; }, milliseconds(6'000)));
    EXPECT_EQ(downs(), 0U) << last_down();
    for (std::size_t i = 0; i < 30; ++i) {
        ASSERT_TRUE(feeder_.wait_incoming(i + 1)) << i;
        settle(i);
    }
    sender.join();
    for (int id = 1; id <= 30; ++id) {
        const auto puback = link->next_puback();
        ASSERT_TRUE(puback);
        EXPECT_EQ(puback->first, id);
    }
    EXPECT_GE(link->pings(), 4) << "while nothing was read";
    EXPECT_EQ(downs(), 0U) << last_down();
}

}  // namespace
}  // namespace sluice::bridge::test
