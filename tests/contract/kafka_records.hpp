#pragma once
/// What stands in a Kafka topic, read as a consumer does that wants committed transactions only.
#include <librdkafka/rdkafka.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/contract/peer.hpp"

namespace sluice::bridge::test {

struct KafkaRecord {
    int partition = 0;
    std::int64_t offset = 0;
    std::int64_t timestamp_ms = 0;  ///< since 1970
    Received received;
};

/// librdkafka's settings, name and value; throws when one is not taken.
using KafkaOptions = std::vector<std::pair<std::string, std::string>>;
rd_kafka_t* make_client(rd_kafka_type_t type, const KafkaOptions& options);

/// All partitions from begin to end, each in its order. Waits up to 20 s for `count` records.
std::vector<KafkaRecord> read_topic(const std::string& servers, const std::string& topic, std::size_t count);
/// A record to be written.
struct NewRecord {
    std::optional<std::string> payload;  ///< none: a tombstone
    int partition = 0;
    std::string key;
    std::vector<std::pair<std::string, std::optional<std::string>>> headers;
    std::int64_t age_s = 0;  ///< how long ago it says it was written
};
/// Returns when the cluster has them; throws when it does not take them within 20 s.
void write_topic(const std::string& servers, const std::string& topic, const std::vector<NewRecord>& records);
/// What a consumer group has committed; negative: nothing.
std::int64_t committed_offset(const std::string& servers, const std::string& group, const std::string& topic,
                              int partition);

std::vector<Received> received_of(std::vector<KafkaRecord> records);

}  // namespace sluice::bridge::test
