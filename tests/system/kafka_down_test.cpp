/// Kafka's records on their way to devices through the real broker: nothing whose offset was committed is
/// lost.
#include "tests/contract/kafka_records.hpp"
#include "tests/contract/peer.hpp"
#include "tests/system/gateway.hpp"

namespace sluice::test {
namespace {

using bridge::test::NewRecord;

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
    ASSERT_TRUE(gateway.start("kafka", bridge)) << gateway.broker.log();
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

    ASSERT_TRUE(gateway.start("kafka", bridge)) << gateway.broker.log();
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

}  // namespace
}  // namespace sluice::test
