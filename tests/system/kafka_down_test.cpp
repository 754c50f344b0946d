/// Kafka's records on their way to devices through the real broker: nothing whose offset was committed is
/// lost, nothing goes round, and two gateways over one cluster are one broker for their clients.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/contract/kafka_records.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/bridge_watch.hpp"
#include "tests/system/mqtt_client.hpp"

namespace sluice::test {
namespace {

using bridge::test::NewRecord;
using nlohmann::json;
using Milliseconds = std::chrono::milliseconds;

/// A broker with a folder of its own, and so with an origin of its own.
struct Gateway {
    TempFolder folder;
    SluicedProcess broker{folder.path()};

    bool start(const std::string& bridge) {
        return broker.start(fmt::format(R"(
[broker]
data_dir = "{}/data"
threads = 2
[[listener]]
address = "127.0.0.1"
port = 0
anonymous = true
[admin]
port = 0
[[bridge]]
name = "cluster"
type = "kafka"
connect_timeout = "2s"
{}
)",
                                        folder.path().string(), bridge));
    }
    json down() const { return bridge_status(broker).value("down", json::object()); }
    /// Until the place where the bridge begins is kept at the cluster.
    bool wait_receiving() const {
        return wait_for_bridge(broker, [](const json& status) {
            return status.contains("down") && status["down"].value("problem", "?").empty();
        });
    }
    bool wait_down(const char* counter, int count) const {
        return wait_for_bridge(broker, [&](const json& status) {
            return status.contains("down") && status["down"].value(counter, 0) >= count;
        });
    }
};

class KafkaDown : public ::testing::TestWithParam<std::string> {
  protected:
    void SetUp() override {
        std::string why;
        peer_ = bridge::test::peer_of(GetParam(), why);
        if (!peer_) GTEST_SKIP() << why;
        const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
        topic_ = "down." + name.substr(0, name.find('/'));
        peer_->ask("topic " + topic_ + " 2");
    }
    /// Everything to and from the one topic.
    std::string both_ways() const {
        return fmt::format(R"(
servers = ["{}"]
[[bridge.route]]
from = "plant/#"
topic = "{}"
[[bridge.down]]
topics = ["{}"]
topic = "{{topic}}"
)",
                           peer_->address(), topic_, topic_);
    }
    static void subscribe(MqttClient& client, const Gateway& gateway, const std::string& name,
                          const std::string& filter) {
        ASSERT_TRUE(client.connect(gateway.broker.port(),
                                   {.client_id = name, .clean_start = false, .expiry_s = 600}));
        ASSERT_TRUE(client.subscribe(filter, wire::QoS::at_least_once));
    }
    /// QoS 1, each acknowledged.
    static void publish(const Gateway& gateway, const std::string& name, const std::string& topic,
                        int count) {
        MqttClient client;
        ASSERT_TRUE(client.connect(gateway.broker.port(), {.client_id = name}));
        for (int i = 0; i < count; ++i) {
            client.publish(topic, fmt::format("{} {}", name, i), wire::QoS::at_least_once,
                           static_cast<wire::PacketId>(i + 1));
            const auto ack = client.receive();
            ASSERT_TRUE(ack && ack->type == wire::PacketType::puback);
        }
        client.disconnect();
    }
    static std::multiset<std::string> receive(MqttClient& client, std::size_t count) {
        std::multiset<std::string> payloads;
        while (payloads.size() < count) {
            const auto message = client.receive_message();
            if (!message) break;
            payloads.insert(message->payload);
        }
        return payloads;
    }
    static std::multiset<std::string> expected(const std::string& name, int count) {
        std::multiset<std::string> payloads;
        for (int i = 0; i < count; ++i) payloads.insert(fmt::format("{} {}", name, i));
        return payloads;
    }

    bridge::test::Peer* peer_ = nullptr;
    std::string topic_;
};
INSTANTIATE_TEST_SUITE_P(Upstreams, KafkaDown, ::testing::Values("kafka", "kafka_real"),
                         [](const auto& param) { return param.param; });

TEST_P(KafkaDown, what_is_committed_reaches_a_session_that_was_offline_through_kill9) {
    constexpr int commands = 100;
    const std::string bridge = fmt::format(R"(
servers = ["{}"]
[[bridge.down]]
topics = ["{}"]
group = "gateway"
topic = "devices/{{key}}/commands"
)",
                                           peer_->address(), topic_);
    Gateway gateway;
    ASSERT_TRUE(gateway.start(bridge)) << gateway.broker.log();
    {
        MqttClient device;
        subscribe(device, gateway, "valve", "devices/valve/commands");
        device.disconnect();
    }
    ASSERT_TRUE(gateway.wait_receiving()) << gateway.down().dump() << gateway.broker.log();
    EXPECT_EQ(bridge_status(gateway.broker)["state"], "connected");
    std::vector<NewRecord> records;
    for (int i = 0; i < commands; ++i) records.push_back({std::to_string(i), i % 2, "valve", {}});
    bridge::test::write_topic(peer_->address(), topic_, records);
    const auto committed = [&] {
        std::int64_t sum = 0;
        for (int partition : {0, 1})
            sum += std::max<std::int64_t>(
                0, bridge::test::committed_offset(peer_->address(), "gateway", topic_, partition));
        return sum;
    };
    const auto deadline = std::chrono::steady_clock::now() + MqttClient::patience;
    while (committed() < commands) ASSERT_LT(std::chrono::steady_clock::now(), deadline) << committed();
    gateway.broker.kill();

    ASSERT_TRUE(gateway.start(bridge)) << gateway.broker.log();
    MqttClient device;
    const auto connack =
        device.connect(gateway.broker.port(), {.client_id = "valve", .clean_start = false, .expiry_s = 600});
    ASSERT_TRUE(connack && connack->session_present);
    std::map<int, int> last{{0, -1}, {1, -1}};  // by partition
    std::set<int> numbers;
    for (int i = 0; i < commands; ++i) {
        const auto message = device.receive_message();
        ASSERT_TRUE(message) << "after " << i;
        EXPECT_EQ(message->topic, "devices/valve/commands");
        const int number = std::stoi(message->payload);
        EXPECT_TRUE(numbers.insert(number).second) << number << " came twice";
        EXPECT_LT(std::exchange(last[number % 2], number), number) << "out of order";
    }
    EXPECT_TRUE(gateway.broker.stop()) << gateway.broker.log();
}

TEST_P(KafkaDown, what_went_up_does_not_come_back) {
    Gateway gateway;
    ASSERT_TRUE(gateway.start(both_ways())) << gateway.broker.log();
    ASSERT_TRUE(gateway.wait_receiving()) << gateway.broker.log();
    MqttClient client;
    subscribe(client, gateway, "watcher", "plant/#");
    publish(gateway, "pump", "plant/pump", 20);
    EXPECT_EQ(receive(client, 20), expected("pump", 20));
    ASSERT_TRUE(gateway.wait_down("own", 20)) << gateway.down().dump();
    EXPECT_FALSE(client.receive_message(Milliseconds(500))) << "it came back";
    const json down = gateway.down();
    EXPECT_EQ(down["received"], 20);
    EXPECT_EQ(down["kept"], 0);
    EXPECT_EQ(bridge_status(gateway.broker)["confirmed"], 20) << "it went up again";
}

TEST_P(KafkaDown, two_gateways_over_one_cluster_carry_topics_to_each_other) {
    Gateway left, right;
    ASSERT_TRUE(left.start(both_ways())) << left.broker.log();
    ASSERT_TRUE(right.start(both_ways())) << right.broker.log();
    ASSERT_TRUE(left.wait_receiving()) << left.down().dump();
    ASSERT_TRUE(right.wait_receiving()) << right.down().dump();
    MqttClient at_left, at_right;
    subscribe(at_left, left, "watcher", "plant/#");
    subscribe(at_right, right, "watcher", "plant/#");
    publish(left, "l", "plant/left", 50);
    publish(right, "r", "plant/right", 50);
    auto all = expected("l", 50);
    all.merge(expected("r", 50));
    EXPECT_EQ(receive(at_left, 100), all);
    EXPECT_EQ(receive(at_right, 100), all);
    for (const Gateway* gateway : {&left, &right}) {
        ASSERT_TRUE(gateway->wait_down("received", 100)) << gateway->down().dump();
        // Delivered before the commit, and counted behind it.
        ASSERT_TRUE(gateway->wait_down("kept", 50)) << gateway->down().dump();
        EXPECT_EQ(gateway->down()["own"], 50);
        EXPECT_TRUE(wait_for_bridge(gateway->broker, [](const json& s) { return s["confirmed"] == 50; }))
            << "what came down went up again: " << bridge_status(gateway->broker).dump();
    }
    EXPECT_FALSE(at_left.receive_message(Milliseconds(300))) << "twice";
    EXPECT_FALSE(at_right.receive_message(Milliseconds(300))) << "twice";
    EXPECT_EQ(peer_->receive(topic_, 100).size(), 100U);
}

}  // namespace
}  // namespace sluice::test
