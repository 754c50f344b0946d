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
/// at_least_once: after trouble the cluster may have some messages twice. exactly_once: readers of committed
/// transactions see each once.
enum class Delivery : std::uint8_t { at_least_once, exactly_once };
/// What a record's timestamp says: when the broker took the message in, or when it was handed to librdkafka.
enum class Timestamp : std::uint8_t { received, sent };
enum class Preset : std::uint8_t { event_hubs, confluent_cloud, msk_scram, msk_tls };

struct KafkaSettings {
    std::vector<std::string> servers;
    std::string client_id = "sluice";
    Compression compression = Compression::none;
    std::chrono::milliseconds linger{5};
    std::uint32_t message_bytes_max = 1'000'000;
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds confirm_timeout{30'000};
    std::vector<std::string> options;
    Delivery delivery = Delivery::at_least_once;
    std::string position_topic;
    std::chrono::milliseconds transaction_time{100};
    std::chrono::milliseconds transaction_timeout{60'000};
    Timestamp timestamp = Timestamp::received;
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

/// Where a group begins in a partition of which it has no committed offset.
enum class Start : std::uint8_t { latest, earliest };

struct KafkaDown {
    std::vector<std::string> topics;  ///< names, or patterns that begin with '^'
    std::string group;                ///< empty: as other rows of the bridge say, else of this gateway alone
    Start start = Start::latest;
};
std::span<const SettingRow> down_rows();

}  // namespace sluice::bridge::kafka
