#pragma once
/// The keys of `type = "kafka"`.
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/settings.hpp"
#include "bridge/cloud_event.hpp"
#include "bridge/tls_settings.hpp"

namespace sluice::bridge::kafka {

enum class Compression : std::uint8_t { none, gzip, snappy, lz4, zstd };
enum class Sasl : std::uint8_t { none, plain, scram_sha_256, scram_sha_512, oauthbearer };
enum class Preset : std::uint8_t { event_hubs, confluent_cloud, msk_scram, msk_tls };

struct KafkaSettings {
    std::vector<std::string> servers;
    std::string client_id = "sluice";
    Compression compression = Compression::none;
    std::chrono::milliseconds linger{5};
    std::uint32_t message_bytes_max = 1'000'000;
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds confirm_timeout{30'000};
    std::chrono::milliseconds missing_topic_wait{300'000};  ///< 0: for ever
    std::vector<std::string> options;
    std::optional<Preset> preset;
    TlsSettings tls;
    std::optional<Sasl> sasl;  ///< not said: the preset's, else none
    std::string user;          ///< empty: the preset's, if it has one
    std::string password;      ///< secret
    std::string token_file;
    std::vector<std::string> token_command;  ///< program and arguments; no shell
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
