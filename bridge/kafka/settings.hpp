#pragma once
/// The keys of `type = "kafka"`.
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/settings.hpp"
#include "bridge/cloud_event.hpp"

namespace sluice::bridge::kafka {

enum class Compression : std::uint8_t { none, gzip, snappy, lz4, zstd };

struct KafkaSettings {
    std::vector<std::string> servers;
    std::string client_id = "sluice";
    Compression compression = Compression::none;
    std::chrono::milliseconds linger{5};
    std::uint32_t message_bytes_max = 1'000'000;
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds confirm_timeout{30'000};
    std::vector<std::string> options;
};
std::span<const SettingRow> bridge_rows();

enum class TopicIllegal : std::uint8_t { refuse, replace };

struct KafkaRoute {
    std::string topic;
    TopicIllegal topic_illegal = TopicIllegal::refuse;
    std::string key = "{client_id}";
    bool headers = true;
    bool cloudevents = false;
    std::string ce_type{ce_type_default};
    std::string ce_source{ce_source_default};
};
std::span<const SettingRow> route_rows();

}  // namespace sluice::bridge::kafka
