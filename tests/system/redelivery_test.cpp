/// What a client has had before `kill -9` comes again with DUP and its packet identifier, in order, and
/// nothing is missing: in the middle of a long queue, which leaves many windows.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/support/sluiced_process.hpp"
#include "tests/system/mqtt_client.hpp"

namespace sluice::test {
namespace {

using wire::QoS;

constexpr int messages = 2000;
constexpr int kills = 6;

struct Case {
    const char* name;
    wire::Version version;
    std::uint16_t window;
    QoS qos;
};

class Redelivery : public ::testing::TestWithParam<Case> {
  protected:
    std::string config() const {
        return fmt::format(R"(
[broker]
data_dir = "{}/data"
threads = 1
[[listener]]
address = "127.0.0.1"
port = 0
anonymous = true
)",
                           folder_.path().string());
    }
    bool connect() {
        const Case& c = GetParam();
        const auto connack = client_.connect(broker_.port(), {.client_id = "reader",
                                                              .clean_start = false,
                                                              .expiry_s = 3600,
                                                              .receive_maximum = c.window,
                                                              .version = c.version});
        return connack && connack->code == wire::ReasonCode::success;
    }
    void fill() {
        ASSERT_TRUE(connect());
        ASSERT_TRUE(client_.subscribe("t", GetParam().qos));
        client_.disconnect();
        MqttClient publisher;
        ASSERT_TRUE(publisher.connect(broker_.port(), {.client_id = "publisher"}));
        for (int i = 0; i < messages; i += 50) {
            for (int k = 0; k < 50; ++k)
                publisher.publish("t", fmt::format("{:05}", i + k), GetParam().qos,
                                  static_cast<wire::PacketId>(k + 1));
            for (int k = 0; k < 50; ++k) {
                const auto answer = publisher.receive();
                ASSERT_TRUE(answer);
                if (GetParam().qos == QoS::exactly_once)
                    publisher.ack(wire::PacketType::pubrel, answer->packet_id);
            }
            for (int k = 0; GetParam().qos == QoS::exactly_once && k < 50; ++k)
                ASSERT_TRUE(publisher.receive());
        }
        publisher.disconnect();
    }
    void take(const Incoming& message) {
        const auto [at, first] = seen_.emplace(message.payload, message.packet_id);
        if (!first) {
            ++again_;
            EXPECT_TRUE(message.dup) << message.payload;
            EXPECT_EQ(message.packet_id, at->second) << message.payload;
        }
        EXPECT_LT(last_, message.payload) << "out of order";
        last_ = message.payload;
    }

    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
    MqttClient client_;
    std::map<std::string, wire::PacketId> seen_;
    std::size_t again_ = 0;
    std::string last_;
};

TEST_P(Redelivery, has_dup_and_the_same_id_after_kills_MQTT_3_3_1_1) {
    ASSERT_TRUE(broker_.start(config())) << broker_.log();
    fill();
    std::mt19937 random(std::random_device{}());
    for (int kill = 0; kill < kills && !HasFailure(); ++kill) {
        ASSERT_TRUE(connect());
        last_.clear();
        const int enough = std::uniform_int_distribution<int>(10, messages / (2 * kills))(random);
        for (int i = 0; i < enough; ++i) {
            const auto message = client_.receive_message();
            ASSERT_TRUE(message) << "after " << seen_.size();
            take(*message);
        }
        broker_.kill();
        // What had reached us, too.
        while (const auto message = client_.receive_message()) take(*message);
        EXPECT_FALSE(client_.connected());
        ASSERT_TRUE(broker_.start(config())) << broker_.log();
    }
    ASSERT_TRUE(connect());
    last_.clear();
    while (!HasFailure() && last_ != fmt::format("{:05}", messages - 1)) {
        const auto message = client_.receive_message();
        ASSERT_TRUE(message) << "after " << seen_.size();
        take(*message);
    }
    EXPECT_EQ(seen_.size(), static_cast<std::size_t>(messages));
    fmt::print("{} kills: {} came again\n", kills, again_);
}

INSTANTIATE_TEST_SUITE_P(Versions, Redelivery,
                         ::testing::Values(Case{"v5_window_2", wire::Version::v5, 2, QoS::at_least_once},
                                           Case{"v5", wire::Version::v5, 65535, QoS::at_least_once},
                                           Case{"v3_1_1", wire::Version::v3_1_1, 65535, QoS::at_least_once},
                                           Case{"qos2_v5_window_2", wire::Version::v5, 2, QoS::exactly_once},
                                           Case{"qos2_v3_1_1", wire::Version::v3_1_1, 65535,
                                                QoS::exactly_once}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace sluice::test
