/// $SYS topics of the real process: told anew, on no disk, and nobody else's to publish.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/sluiced_process.hpp"
#include "tests/system/mqtt_client.hpp"

namespace sluice::test {
namespace {

using wire::QoS;

class Sys : public ::testing::Test {
  protected:
    void start(const std::string& broker_keys) {
        ASSERT_TRUE(broker_.start(
            fmt::format("[broker]\ndata_dir = \"{}/data\"\nthreads = 2\n{}\n[[listener]]\naddress = "
                        "\"127.0.0.1\"\nport = 0\nanonymous = true\n",
                        folder_.path().string(), broker_keys)))
            << broker_.log();
    }
    /// Reads until `topic` says `text`, or says anything when that is empty.
    static bool hears(MqttClient& client, const std::string& topic, const std::string& text = "") {
        while (const auto message = client.receive_message()) {
            if (message->topic == topic && (text.empty() || message->payload == text)) return true;
        }
        return false;
    }

    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

TEST_F(Sys, topics_are_told_anew_when_they_change) {
    start("sys_interval = \"1s\"");
    MqttClient watcher, other;
    ASSERT_TRUE(watcher.connect(broker_.port(), {.client_id = "watcher"}));
    ASSERT_TRUE(watcher.subscribe("$SYS/#", QoS::at_most_once));
    const auto first = watcher.receive_message();
    ASSERT_TRUE(first);
    EXPECT_TRUE(first->retain);
    ASSERT_TRUE(hears(watcher, "$SYS/broker/clients/connected", "1"));
    ASSERT_TRUE(other.connect(broker_.port(), {.client_id = "other"}));
    EXPECT_TRUE(hears(watcher, "$SYS/broker/clients/connected", "2"));
    other.publish("a", "12345", QoS::at_least_once, 1);
    EXPECT_TRUE(hears(watcher, "$SYS/broker/publish/bytes/received", "5"));
    EXPECT_TRUE(broker_.stop());
}

TEST_F(Sys, wildcards_at_the_front_do_not_match_and_nothing_survives_a_restart) {
    start("sys_interval = \"1s\"");
    MqttClient watcher;
    ASSERT_TRUE(watcher.connect(broker_.port(), {.client_id = "watcher"}));
    ASSERT_TRUE(watcher.subscribe("#", QoS::at_most_once));
    ASSERT_TRUE(watcher.subscribe("+/broker/#", QoS::at_most_once));
    ASSERT_TRUE(watcher.subscribe("$SYS/broker/uptime", QoS::at_most_once));
    for (int i = 0; i < 3; ++i) {
        const auto message = watcher.receive_message();
        ASSERT_TRUE(message);
        EXPECT_EQ(message->topic, "$SYS/broker/uptime");
    }
    broker_.kill();
    start("sys_interval = 0");
    ASSERT_TRUE(watcher.connect(broker_.port(), {.client_id = "watcher"}));
    ASSERT_TRUE(watcher.subscribe("$SYS/#", QoS::at_most_once));
    ASSERT_TRUE(watcher.subscribe("a", QoS::at_least_once));
    watcher.publish("a", "x", QoS::at_least_once, 1);
    const auto message = watcher.receive_message();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->topic, "a") << "there are no $SYS topics, not even old ones";
    EXPECT_TRUE(broker_.stop());
}

}  // namespace
}  // namespace sluice::test
