/// Both directions of one bridge: nothing goes round, and two gateways over one cluster are one broker for
/// their clients. The settings are those of docs/bridges.md, "Two gateways over one cluster".
#include "tests/contract/amqp_peer.hpp"
#include "tests/contract/peer.hpp"
#include "tests/system/gateway.hpp"

namespace sluice::test {
namespace {

using nlohmann::json;
using Milliseconds = std::chrono::milliseconds;

class BothWays : public ::testing::TestWithParam<std::string> {
  protected:
    void SetUp() override {
        std::string why;
        peer_ = bridge::test::peer_of(GetParam(), why);
        if (!peer_) GTEST_SKIP() << why;
        if (type() == "kafka") peer_->ask("topic " + place_ + " 2");
        if (type() == "amqp")
            bridge::test::AmqpClient(amqp_port()).make_queue(place_, "amq.topic", place_ + ".#");
    }
    std::string type() const { return bridge::test::type_of(GetParam()); }
    int amqp_port() const { return static_cast<bridge::test::AmqpPeer*>(peer_)->port(); }
    /// All that is published in PLACE, to and from the cluster.
    std::string bridge() const {
        const std::string up =
            fmt::format("servers = [\"{}\"]\n[[bridge.route]]\nfrom = \"{}/#\"\n", peer_->address(), place_);
        if (type() == "kafka")
            return up + fmt::format(
                            "topic = \"{0}\"\n[[bridge.down]]\ntopics = [\"{0}\"]\n"
                            "topic = \"{{topic}}\"\n",
                            place_);
        if (type() == "amqp")
            return up + fmt::format(
                            "exchange = \"amq.topic\"\n[[bridge.down]]\n"
                            "queue = \"sluice.{{origin}}\"\ndeclare = true\n"
                            "binding_keys = [\"{}.#\"]\ntopic = \"{{topic}}\"\n",
                            place_);
        return up + fmt::format("[[bridge.down]]\nfilter = \"{}/#\"\ntopic = \"{{source}}\"\n", place_);
    }
    /// MQTT 5 does not even send them down (No Local).
    int own_that_come_down(int count) const { return type() == "mqtt" ? 0 : count; }
    /// At the cluster.
    void expect_arrived(std::size_t count) {
        if (type() == "mqtt") return;  // a server of MQTT keeps none
        EXPECT_EQ(peer_->receive(place_, count).size(), count);
    }

    bridge::test::Peer* peer_ = nullptr;
    const std::string place_ = [] {
        const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
        return name.substr(0, name.find('/'));
    }();
};
INSTANTIATE_TEST_SUITE_P(Upstreams, BothWays, ::testing::Values("kafka", "kafka_real", "amqp", "mqtt"),
                         [](const auto& param) { return param.param; });

TEST_P(BothWays, what_went_up_does_not_come_back) {
    Gateway gateway;
    ASSERT_TRUE(gateway.start(type(), bridge())) << gateway.broker.log();
    ASSERT_TRUE(gateway.wait_receiving()) << gateway.broker.log();
    MqttClient client;
    subscribe(client, gateway, "watcher", place_ + "/#");
    publish(gateway, "pump", place_ + "/pump", 20);
    EXPECT_EQ(receive(client, 20), expected("pump", 20));
    const int own = own_that_come_down(20);
    ASSERT_TRUE(gateway.wait_down("own", own)) << gateway.down().dump();
    EXPECT_TRUE(wait_for_bridge(gateway.broker, [](const json& s) { return s["confirmed"] == 20; }))
        << bridge_status(gateway.broker).dump();
    EXPECT_FALSE(client.receive_message(Milliseconds(500))) << "it came back";
    const json down = gateway.down();
    EXPECT_EQ(down["received"], own);
    EXPECT_EQ(down["kept"], 0);
    EXPECT_EQ(bridge_status(gateway.broker)["confirmed"], 20) << "it went up again";
}

TEST_P(BothWays, two_gateways_over_one_cluster_carry_topics_to_each_other) {
    Gateway left, right;
    for (Gateway* gateway : {&left, &right}) {
        ASSERT_TRUE(gateway->start(type(), bridge())) << gateway->broker.log();
        ASSERT_TRUE(gateway->wait_receiving()) << gateway->down().dump();
    }
    MqttClient at_left, at_right;
    subscribe(at_left, left, "watcher", place_ + "/#");
    subscribe(at_right, right, "watcher", place_ + "/#");
    publish(left, "l", place_ + "/left", 50);
    publish(right, "r", place_ + "/right", 50);
    auto all = expected("l", 50);
    all.merge(expected("r", 50));
    EXPECT_EQ(receive(at_left, 100), all);
    EXPECT_EQ(receive(at_right, 100), all);
    for (const Gateway* gateway : {&left, &right}) {
        const int own = own_that_come_down(50);
        ASSERT_TRUE(gateway->wait_down("received", 50 + own)) << gateway->down().dump();
        // Delivered before the commit, and counted behind it.
        ASSERT_TRUE(gateway->wait_down("kept", 50)) << gateway->down().dump();
        EXPECT_EQ(gateway->down()["own"], own);
        EXPECT_TRUE(wait_for_bridge(gateway->broker, [](const json& s) { return s["confirmed"] == 50; }))
            << "what came down went up again: " << bridge_status(gateway->broker).dump();
    }
    EXPECT_FALSE(at_left.receive_message(Milliseconds(300))) << "twice";
    EXPECT_FALSE(at_right.receive_message(Milliseconds(300))) << "twice";
    expect_arrived(100);
}

}  // namespace
}  // namespace sluice::test
