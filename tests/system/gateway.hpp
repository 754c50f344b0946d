#pragma once
/// Gateway: a broker with one bridge, and a folder and so an origin of its own; and what its clients do.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/sluiced_process.hpp"
#include "tests/system/bridge_watch.hpp"
#include "tests/system/mqtt_client.hpp"

namespace sluice::test {

struct Gateway {
    using json = nlohmann::json;

    TempFolder folder;
    SluicedProcess broker{folder.path()};

    /// `bridge`: its keys, routes and ways down.
    bool start(const std::string& type, const std::string& bridge) {
        return broker.start(local_broker(folder.path()) + fmt::format(R"(
[[bridge]]
name = "cluster"
type = "{}"
connect_timeout = "2s"
{}
)",
                                                                      type, bridge));
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

/// QoS 1, and a session that stays.
inline void subscribe(MqttClient& client, const Gateway& gateway, const std::string& name,
                      const std::string& filter) {
    ASSERT_TRUE(
        client.connect(gateway.broker.port(), {.client_id = name, .clean_start = false, .expiry_s = 600}));
    ASSERT_TRUE(client.subscribe(filter, wire::QoS::at_least_once));
}
/// "NAME 0" and so on, QoS 1, each acknowledged.
inline void publish(const Gateway& gateway, const std::string& name, const std::string& topic, int count) {
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
inline std::multiset<std::string> expected(const std::string& name, int count) {
    std::multiset<std::string> payloads;
    for (int i = 0; i < count; ++i) payloads.insert(fmt::format("{} {}", name, i));
    return payloads;
}
inline std::multiset<std::string> receive(MqttClient& client, std::size_t count) {
    std::multiset<std::string> payloads;
    while (payloads.size() < count) {
        const auto message = client.receive_message();
        if (!message) break;
        payloads.insert(message->payload);
    }
    return payloads;
}

}  // namespace sluice::test
