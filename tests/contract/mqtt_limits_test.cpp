/// What the server of the mqtt connector takes, what it refuses, and what it does not take now.
#include "tests/contract/mqtt_fixture.hpp"

namespace sluice::bridge::test {
namespace {

using MqttConnectorLimits = MqttConnectorFixture;

TEST_F(MqttConnectorLimits, the_servers_receive_maximum_is_never_exceeded) {
    for (const std::uint16_t maximum : {1, 3}) {
        settings_ = make_settings(*settings_.module);
        use_fake();
        start();
        wire::Connack connack;
        connack.properties.receive_maximum = maximum;
        auto link = fake_.welcome(connack);
        const auto before = feeder_.read([&] { return feeder_.confirmed_.size(); });
        publish_numbers(0, 20);
        int taken = 0;
        while (taken < 20) {
            std::vector<wire::PacketId> open;
            while (open.size() < maximum && taken < 20) {
                const auto publish = link->next_publish();
                ASSERT_TRUE(publish);
                EXPECT_EQ(publish->payload, std::to_string(taken++));
                open.push_back(publish->packet_id);
            }
            if (taken < 20) {
                EXPECT_FALSE(link->next(milliseconds(50))) << "one more than the server takes";
            }
            for (const auto id : open) link->send_puback(id);
        }
        EXPECT_TRUE(feeder_.wait_confirmed(before + 20));
        connector_->stop(milliseconds(0));
    }
}

TEST_F(MqttConnectorLimits, lanes_take_turns_in_a_small_window) {
    use_fake();
    start();
    wire::Connack connack;
    connack.properties.receive_maximum = 1;
    auto link = fake_.welcome(connack);
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 20, 0);
    publish_numbers(100, 120, 1);
    int of_lane_1 = 0;
    for (int i = 0; i < 20; ++i) {
        const auto publish = link->next_publish();
        ASSERT_TRUE(publish);
        of_lane_1 += std::stoi(publish->payload) >= 100 ? 1 : 0;
        link->send_puback(publish->packet_id);
    }
    EXPECT_GE(of_lane_1, 8) << "lane 0 keeps the window to itself";
}

TEST_F(MqttConnectorLimits, what_is_over_the_servers_packet_size_is_refused) {
    use_fake();
    start();
    wire::Connack connack;
    connack.properties.maximum_packet_size = 200;
    auto link = fake_.welcome(connack);
    feeder_.publish_text(0, "plant/a", std::string(300, 'x'));
    feeder_.publish_text(0, "plant/a", "small");
    const auto publish = link->next_publish();
    ASSERT_TRUE(publish);
    EXPECT_EQ(publish->payload, "small");
    link->send_puback(publish->packet_id);
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    EXPECT_EQ(confirm_of(1).outcome, Outcome::refused);
    EXPECT_NE(confirm_of(1).reason.find("the server takes at most 200"), std::string::npos)
        << confirm_of(1).reason;
    EXPECT_EQ(confirm_of(2).outcome, Outcome::delivered);
}

TEST_F(MqttConnectorLimits, a_server_without_qos_1_and_retain_gets_neither) {
    use_fake();
    start();
    wire::Connack connack;
    connack.properties.maximum_qos = 0;
    connack.properties.retain_available = false;
    auto link = fake_.welcome(connack);
    feeder_.publish(0, fields_with_everything());
    const auto publish = link->next_publish();
    ASSERT_TRUE(publish);
    EXPECT_EQ(publish->qos, wire::QoS::at_most_once);
    EXPECT_FALSE(publish->retain);
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    EXPECT_EQ(confirm_of(1).outcome, Outcome::delivered);
}

TEST_F(MqttConnectorLimits, qos_0_is_delivered_when_it_is_written) {
    settings_.route("qos", std::int64_t{0});
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 50);
    ASSERT_TRUE(feeder_.wait_confirmed(50));
    const auto all = peer_->receive(place_, 50);
    ASSERT_EQ(all.size(), 50U);
    EXPECT_EQ(all[0].headers.at("@qos"), "0");
}

TEST_F(MqttConnectorLimits, what_the_server_refuses_for_good_is_refused_in_its_words) {
    use_fake();
    start();
    auto link = fake_.welcome();
    const std::vector<std::pair<int, std::string>> codes{
        {0x87, "not authorized"},         {0x90, "topic name invalid"},   {0x95, "packet too large"},
        {0x99, "payload format invalid"}, {0x9A, "retain not supported"}, {0x9B, "QoS not supported"}};
    for (const auto& [code, words] : codes) {
        feeder_.publish_text(0, "plant/a", words);
        const auto publish = link->next_publish();
        ASSERT_TRUE(publish);
        link->send_puback(publish->packet_id, static_cast<std::uint8_t>(code));
    }
    ASSERT_TRUE(feeder_.wait_confirmed(codes.size()));
    for (std::size_t i = 0; i < codes.size(); ++i) {
        EXPECT_EQ(confirm_of(i + 1).outcome, Outcome::refused);
        EXPECT_NE(confirm_of(i + 1).reason.find(codes[i].second), std::string::npos)
            << confirm_of(i + 1).reason;
    }
    EXPECT_EQ(downs(), 0U);
}

TEST_F(MqttConnectorLimits, the_gateways_identity_and_a_missing_part_of_the_topic) {
    settings_.spec.origin = "gateway-1";
    settings_.route("topic", std::string("{origin}/{topic[1]}"));
    use_fake();
    start();
    auto link = fake_.welcome();
    feeder_.publish_text(0, "plant", "lacks the level");
    feeder_.publish_text(0, "plant/a", "x");
    feeder_.publish_text(0, "plant/+", "is no topic name");
    const auto publish = link->next_publish();
    ASSERT_TRUE(publish);
    EXPECT_EQ(publish->topic, "gateway-1/a");
    link->send_puback(publish->packet_id);
    ASSERT_TRUE(feeder_.wait_confirmed(3));
    EXPECT_EQ(confirm_of(1).outcome, Outcome::unmappable);
    EXPECT_EQ(confirm_of(1).reason, "'{origin}/{topic[1]}': the topic has no level 1");
    EXPECT_EQ(confirm_of(2).outcome, Outcome::delivered);
    EXPECT_EQ(confirm_of(3).outcome, Outcome::refused);
}

TEST_F(MqttConnectorLimits, what_the_server_does_not_take_now_comes_again_in_order) {
    for (const int code : {0x97, 0x80, 0x83, 0x91}) {
        settings_ = make_settings(*settings_.module);
        use_fake();
        start();
        auto link = fake_.welcome();
        ASSERT_TRUE(feeder_.wait_up());
        const auto before = feeder_.read([&] { return feeder_.confirmed_.size(); });
        feeder_.publish_text(0, "plant/a", "0");
        auto publish = link->next_publish();
        ASSERT_TRUE(publish);
        link->send_puback(publish->packet_id, static_cast<std::uint8_t>(code));
        ASSERT_TRUE(wait_stall("does not take the message"));
        publish_numbers(1, 5);
        EXPECT_FALSE(link->next(milliseconds(100))) << "sent again, or overtaken, without a pause";
        for (int i = 0; i < 5; ++i) {
            publish = link->next_publish();
            ASSERT_TRUE(publish) << code;
            EXPECT_EQ(publish->payload, std::to_string(i)) << "the lane was overtaken";
            if (i == 0) {
                EXPECT_FALSE(link->next(milliseconds(50))) << "more than one to try with";
            }
            link->send_puback(publish->packet_id, i == 0 ? 0x10 : 0);  // no matching subscribers: taken
        }
        EXPECT_TRUE(feeder_.wait_confirmed(before + 5));
        EXPECT_TRUE(feeder_.wait([&] { return feeder_.stalls_.back().empty(); }));
        EXPECT_EQ(downs(), 0U);
        connector_->stop(milliseconds(0));
    }
}

}  // namespace
}  // namespace sluice::bridge::test
