#pragma once
/// The keys of `type = "mqtt"`: another MQTT server, version 5 or 3.1.1.
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/settings.hpp"
#include "bridge/tls_settings.hpp"

namespace sluice::bridge::mqtt {

enum class Protocol : std::uint8_t { v5, v3_1_1 };
/// What becomes of the RETAIN flag.
enum class Retain : std::uint8_t { keep, never };

struct MqttSettings {
    std::vector<std::string> servers;
    Protocol protocol = Protocol::v5;
    std::string client_id;  ///< empty: "sluice-BRIDGE-ORIGIN"
    std::string user;
    std::string password;
    std::chrono::milliseconds keep_alive{30'000};
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds confirm_timeout{30'000};
    bool clean_start = false;
    std::chrono::milliseconds session_expiry{7LL * 24 * 3600 * 1000};
    std::uint32_t packet_bytes_max = 16U << 20;
    bool retain = true;
    TlsSettings tls;
};
std::span<const SettingRow> bridge_rows();

struct MqttRoute {
    std::string topic = "{topic}";
    std::uint8_t qos = 1;
    Retain retain = Retain::keep;
};
std::span<const SettingRow> route_rows();

/// `[[bridge.down]]`
struct MqttDown {
    std::string filter;
    std::uint8_t subscribe_qos = 1;
};
std::span<const SettingRow> down_rows();

}  // namespace sluice::bridge::mqtt
