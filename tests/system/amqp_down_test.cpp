/// The way of a command: RabbitMQ, broker, the queue of a device that is away, through `kill -9` of the
/// broker.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "tests/contract/amqp_peer.hpp"
#include "tests/system/bridge_watch.hpp"
#include "tests/system/mqtt_client.hpp"

namespace sluice::test {
namespace {

using nlohmann::json;

constexpr int half = 300;

class CommandsDown : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string why;
        node_ = static_cast<bridge::test::AmqpPeer*>(bridge::test::peer_of("amqp", why));
        if (!node_) GTEST_SKIP() << why;
        config_ = local_broker(folder_.path()) + fmt::format(R"(
[[bridge]]
name = "commands"
type = "amqp"
servers = ["{}"]
connect_timeout = "2s"
[[bridge.down]]
queue = "commands.{{origin}}"
declare = true
binding_keys = ["commands.pump.#"]
topic = "cmd/{{source[1]}}"
)",
                                                             node_->address());
    }
    void start_broker() {
        ASSERT_TRUE(broker_.start(config_)) << broker_.log();
        ASSERT_TRUE(wait_for_bridge(broker_,
                                    [](const json& status) {
                                        return status.value("state", "") == "connected" &&
                                               problem_of(status).empty();
                                    }))
            << bridge_status(broker_).dump() << broker_.log();
    }
    static std::string problem_of(const json& status) {
        return status.contains("down") && status["down"].is_object() ? status["down"].value("problem", "?")
                                                                     : "?";
    }
    static std::uint64_t count_of(const json& status, const char* what) {
        return status.contains("down") && status["down"].is_object() ? status["down"].value(what, 0ULL) : 0;
    }
    void publish_numbers(int from, int to) {
        bridge::test::AmqpClient client(node_->port());
        amqp_basic_properties_t properties{};
        properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
        properties.delivery_mode = 2;
        for (int i = from; i < to; ++i)
            client.publish("commands.pump.start", std::to_string(i), properties, "amq.topic");
    }

    bridge::test::AmqpPeer* node_ = nullptr;
    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
    std::string config_;
};

TEST_F(CommandsDown, no_command_is_lost_to_a_device_that_is_away_amqp) {
    start_broker();
    const MqttClient::Session session{.client_id = "pump", .clean_start = false, .expiry_s = 3600};
    MqttClient device;
    ASSERT_TRUE(device.connect(broker_.port(), session));
    ASSERT_TRUE(device.subscribe("cmd/+", wire::QoS::at_least_once));
    device.disconnect();

    publish_numbers(0, half);
    ASSERT_TRUE(wait_for_bridge(broker_, [](const json& status) { return count_of(status, "kept") > 0; }))
        << broker_.log();
    broker_.kill();  // some are acknowledged, some are on their way
    publish_numbers(half, 2 * half);
    start_broker();
    ASSERT_TRUE(wait_for_bridge(broker_, [](const json& status) {
        return count_of(status, "kept") >= half && count_of(status, "unsettled") == 0;
    })) << bridge_status(broker_).dump();
    broker_.kill();  // what is acknowledged is on disk

    start_broker();
    const auto found = device.connect(broker_.port(), session);
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->session_present);
    std::set<int> numbers;
    int received = 0;
    while (numbers.size() < 2 * half) {
        const auto message = device.receive_message();
        if (!message) break;
        EXPECT_EQ(message->topic, "cmd/pump");
        numbers.insert(std::stoi(message->payload));
        ++received;
    }
    fmt::print("commands {} arrived {} duplicated {}\n", 2 * half, numbers.size(),
               received - static_cast<int>(numbers.size()));
    EXPECT_EQ(numbers.size(), 2U * half);
    EXPECT_TRUE(broker_.stop()) << broker_.log();
    const std::string queues = node_->ask("ctl list_queues name messages --no-table-headers");
    EXPECT_TRUE(std::regex_search(queues, std::regex("commands\\.[^ ]+ 0( |$)"))) << queues;
}

}  // namespace
}  // namespace sluice::test
