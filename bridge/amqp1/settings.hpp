#pragma once
/// The keys of `type = "amqp1"`: AMQP 1.0, as RabbitMQ 4, Artemis, Azure Service Bus and Event Hubs speak it.
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/settings.hpp"
#include "bridge/tls_settings.hpp"

namespace sluice::bridge::amqp1 {

enum class Sasl : std::uint8_t { automatic, plain, external, anonymous };

struct Amqp1Settings {
    std::vector<std::string> servers;
    std::string virtual_host;
    std::string user;
    std::string password;
    Sasl sasl = Sasl::automatic;
    std::chrono::milliseconds heartbeat{10'000};
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds confirm_timeout{30'000};
    TlsSettings tls;
};
std::span<const SettingRow> bridge_rows();

struct Amqp1Route {
    std::string address;
    std::string partition_key = "{client_id}";
    std::string group_id;
    bool durable = true;
};
std::span<const SettingRow> route_rows();

struct Amqp1Down {
    std::string address;
    std::uint32_t credit = 100;
    std::uint64_t message_bytes_max = 1024UL * 1024;
};
std::span<const SettingRow> down_rows();

/// Which mechanism `sasl` means with the other keys; what does not go together is an error.
Result<const char*, std::string> sasl_mechanism(const Amqp1Settings& settings);

}  // namespace sluice::bridge::amqp1
