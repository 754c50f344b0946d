#pragma once
/// The keys of `type = "amqp"`: AMQP 0-9-1, as RabbitMQ speaks it.
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/settings.hpp"
#include "bridge/cloud_event.hpp"
#include "bridge/tls_settings.hpp"

namespace sluice::bridge::amqp {

enum class QueueType : std::uint8_t { by_server, classic, quorum };
enum class Sasl : std::uint8_t { plain, external };

struct AmqpSettings {
    std::vector<std::string> servers;
    std::string virtual_host = "/";
    std::string user = "guest";
    std::string password = "guest";
    Sasl sasl = Sasl::plain;
    TlsSettings tls;
    std::chrono::milliseconds heartbeat{10'000};
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds confirm_timeout{30'000};
};
std::span<const SettingRow> bridge_rows();

struct AmqpRoute {
    std::string exchange = "amq.topic";
    std::string routing_key = "{topic}";
    bool persistent = true;
    bool mandatory = true;
    bool cloudevents = false;
    std::string ce_type{ce_type_default};
    std::string ce_source{ce_source_default};
};
std::span<const SettingRow> route_rows();

struct AmqpDown {
    std::string queue;
    bool declare = false;
    QueueType queue_type = QueueType::by_server;
    std::string dead_letter_exchange;
    std::string exchange = "amq.topic";
    std::vector<std::string> binding_keys;
    std::uint32_t prefetch = 0;  ///< 0: an equal part of what may be unsettled
    std::uint64_t message_bytes_max = 16ULL << 20;
};
std::span<const SettingRow> down_rows();

}  // namespace sluice::bridge::amqp
