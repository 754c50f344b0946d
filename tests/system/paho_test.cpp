/// Eclipse Paho MQTT C++ as the client: an implementation of both versions that is not ours.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <mqtt/async_client.h>

#include <memory>

#include "tests/support/sluiced_process.hpp"

namespace sluice::test {
namespace {

constexpr auto patience = std::chrono::seconds(20);

class Paho : public ::testing::TestWithParam<int> {
  protected:
    void SetUp() override {
        ASSERT_TRUE(broker_.start(
            fmt::format("[broker]\ndata_dir = \"{}/data\"\nthreads = 2\n[[listener]]\naddress = "
                        "\"127.0.0.1\"\nport = 0\nanonymous = true\n[limits]\n"
                        "receive_maximum = 1000\n",
                        folder_.path().string())))
            << broker_.log();
    }

    static bool is_v5() { return GetParam() == MQTTVERSION_5; }
    using ClientPtr = std::unique_ptr<mqtt::async_client>;

    /// Without a persistence of its own; many messages may wait in it.
    ClientPtr make_client(const std::string& id) const {
        mqtt::create_options options(GetParam(), 20'000);
        return std::make_unique<mqtt::async_client>(fmt::format("tcp://127.0.0.1:{}", broker_.port()), id,
                                                    options, nullptr);
    }
    static mqtt::connect_options options(bool clean) {
        mqtt::connect_options made;
        made.set_mqtt_version(GetParam());
        // Paho waits long whenever a window is full, with any broker.
        made.set_max_inflight(1000);
        made.set_keep_alive_interval(60);
        if (!is_v5()) {
            made.set_clean_session(clean);
            return made;
        }
        made.set_clean_start(clean);
        if (!clean) made.set_properties({{mqtt::property::SESSION_EXPIRY_INTERVAL, 3600}});
        return made;
    }
    ClientPtr connect(const std::string& id, bool clean = true) const {
        auto client = make_client(id);
        client->start_consuming();
        EXPECT_TRUE(client->connect(options(clean))->wait_for(patience));
        return client;
    }
    static void subscribe(mqtt::async_client& client, const std::string& filter, int qos) {
        EXPECT_TRUE(client.subscribe(filter, qos)->wait_for(patience));
    }
    static void publish(mqtt::async_client& client, const std::string& topic, const std::string& text,
                        int qos, bool retained = false) {
        EXPECT_TRUE(client.publish(mqtt::make_message(topic, text, qos, retained))->wait_for(patience));
    }
    static mqtt::const_message_ptr next(mqtt::async_client& client) {
        mqtt::const_message_ptr message;
        client.try_consume_message_for(&message, patience);
        return message;
    }
    static void expect_next(mqtt::async_client& client, const std::string& topic, const std::string& text,
                            int qos) {
        const auto message = next(client);
        ASSERT_TRUE(message) << "no " << text;
        EXPECT_EQ(message->get_topic(), topic);
        EXPECT_EQ(message->to_string(), text);
        EXPECT_EQ(message->get_qos(), qos);
    }

    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

// A foreign client, over TCP, with nothing beyond the specification [MQTT-4.2-1], [MQTT-3.1.1:7.1.1-1],
// [MQTT-3.1.1:7.0.0-2].
TEST_P(Paho, every_qos_both_ways) {
    const auto publisher = connect("publisher");
    for (int granted = 0; granted <= 2; ++granted) {
        const auto subscriber = connect("subscriber");
        subscribe(*subscriber, "q/#", granted);
        for (int qos = 0; qos <= 2; ++qos) {
            const std::string text = fmt::format("{} to {}", qos, granted);
            publish(*publisher, "q/x", text, qos);
            expect_next(*subscriber, "q/x", text, std::min(qos, granted));
        }
        EXPECT_TRUE(subscriber->disconnect()->wait_for(patience));
    }
}

TEST_P(Paho, retained_messages) {
    const auto client = connect("one");
    publish(*client, "r/a", "kept", 1, true);
    publish(*client, "r/b", "kept too", 0, true);
    publish(*client, "r/c", "deleted", 1, true);
    publish(*client, "r/c", "", 1, true);
    const auto late = connect("late");
    subscribe(*late, "r/#", 1);
    std::map<std::string, std::string> got;
    for (int i = 0; i < 2; ++i) {
        const auto message = next(*late);
        ASSERT_TRUE(message);
        EXPECT_TRUE(message->is_retained());
        got[message->get_topic()] = message->to_string();
    }
    EXPECT_EQ(got, (std::map<std::string, std::string>{{"r/a", "kept"}, {"r/b", "kept too"}}));
    // What follows is the next thing that comes: r/c was really deleted.
    publish(*client, "r/d", "live", 1);
    expect_next(*late, "r/d", "live", 1);
}

TEST_P(Paho, will_on_abrupt_loss_only) {
    const auto watcher = connect("watcher");
    subscribe(*watcher, "will/#", 1);
    for (const bool abrupt : {false, true}) {
        auto client = make_client("mortal");
        auto with_will = options(true);
        with_will.set_will(mqtt::message("will/mortal", "gone", 1, false));
        ASSERT_TRUE(client->connect(with_will)->wait_for(patience));
        if (abrupt) {
            // Somebody with the same client id takes the session over: the first connection ends without
            // DISCONNECT.
            const auto other = connect("mortal");
            expect_next(*watcher, "will/mortal", "gone", 1);
            continue;
        }
        EXPECT_TRUE(client->disconnect()->wait_for(patience));
        publish(*watcher, "will/none", "nothing came", 1);
        expect_next(*watcher, "will/none", "nothing came", 1);
    }
}

TEST_P(Paho, offline_queue_of_a_persistent_session) {
    auto sleeper = connect("sleeper", false);
    subscribe(*sleeper, "s/+", 2);
    EXPECT_TRUE(sleeper->disconnect()->wait_for(patience));
    sleeper.reset();
    const auto publisher = connect("publisher");
    std::vector<mqtt::delivery_token_ptr> tokens;
    for (int i = 0; i < 100; ++i)
        tokens.push_back(publisher->publish(mqtt::make_message("s/x", std::to_string(i), 1 + i % 2, false)));
    for (const auto& token : tokens) ASSERT_TRUE(token->wait_for(patience));
    publish(*publisher, "s/x", "not kept", 0);
    sleeper = make_client("sleeper");
    sleeper->start_consuming();
    const auto connecting = sleeper->connect(options(false));
    ASSERT_TRUE(connecting->wait_for(patience));
    EXPECT_TRUE(connecting->get_connect_response().is_session_present());
    // Order is promised for each QoS [MQTT-4.6.0-6].
    std::vector<int> even, odd;
    for (int i = 0; i < 100; ++i) {
        const auto message = next(*sleeper);
        ASSERT_TRUE(message) << i;
        (message->get_qos() == 1 ? even : odd).push_back(std::stoi(message->to_string()));
    }
    ASSERT_EQ(even.size(), 50U);
    ASSERT_EQ(odd.size(), 50U);
    for (int i = 0; i < 50; ++i) {
        ASSERT_EQ(even[static_cast<std::size_t>(i)], 2 * i);
        ASSERT_EQ(odd[static_cast<std::size_t>(i)], 2 * i + 1);
    }
}

TEST_P(Paho, user_properties_pass_unaltered_in_version_5) {
    if (!is_v5()) return;
    const auto client = connect("one");
    subscribe(*client, "p", 1);
    auto message = mqtt::make_message("p", "text", 1, false);
    mqtt::properties properties;
    properties.add({mqtt::property::USER_PROPERTY, "site", "a"});
    properties.add({mqtt::property::USER_PROPERTY, "site", "b"});
    properties.add({mqtt::property::CONTENT_TYPE, "text/plain"});
    properties.add({mqtt::property::RESPONSE_TOPIC, "answer/here"});
    message->set_properties(properties);
    EXPECT_TRUE(client->publish(message)->wait_for(patience));
    const auto got = next(*client);
    ASSERT_TRUE(got);
    const auto& back = got->get_properties();
    ASSERT_EQ(back.count(mqtt::property::USER_PROPERTY), 2U);
    EXPECT_EQ(std::get<1>(mqtt::get<mqtt::string_pair>(back, mqtt::property::USER_PROPERTY, 0)), "a");
    EXPECT_EQ(std::get<1>(mqtt::get<mqtt::string_pair>(back, mqtt::property::USER_PROPERTY, 1)), "b");
    EXPECT_EQ(mqtt::get<std::string>(back, mqtt::property::CONTENT_TYPE), "text/plain");
    EXPECT_EQ(mqtt::get<std::string>(back, mqtt::property::RESPONSE_TOPIC), "answer/here");
}

TEST_P(Paho, ten_thousand_qos1_messages_in_order) {
    constexpr int count = 10'000;
    const auto subscriber = connect("subscriber");
    subscribe(*subscriber, "many", 1);
    const auto publisher = connect("publisher");
    std::vector<mqtt::delivery_token_ptr> tokens;
    for (int i = 0; i < count; ++i)
        tokens.push_back(publisher->publish(mqtt::make_message("many", std::to_string(i), 1, false)));
    for (int i = 0; i < count; ++i) {
        const auto message = next(*subscriber);
        ASSERT_TRUE(message) << i;
        ASSERT_EQ(message->to_string(), std::to_string(i));
    }
    for (const auto& token : tokens) ASSERT_TRUE(token->wait_for(patience));
}

INSTANTIATE_TEST_SUITE_P(Versions, Paho, ::testing::Values(MQTTVERSION_3_1_1, MQTTVERSION_5),
                         [](const auto& param) { return param.param == MQTTVERSION_5 ? "v5" : "v3_1_1"; });

}  // namespace
}  // namespace sluice::test
