#include "tests/contract/kafka_records.hpp"

#include <array>
#include <chrono>
#include <set>
#include <stdexcept>

#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-statement-expression"  // librdkafka's RD_KAFKA_V_ macros
#endif

namespace sluice::bridge::test {
namespace {

using Steady = std::chrono::steady_clock;

/// The mock makes a topic that is missing by itself, with a number of partitions of its own.
int partitions_of(rd_kafka_t* consumer, const std::string& place) {
    rd_kafka_topic_t* topic = rd_kafka_topic_new(consumer, place.c_str(), nullptr);
    const rd_kafka_metadata_t* metadata = nullptr;
    rd_kafka_metadata(consumer, 0, topic, &metadata, 20'000);
    const int count = metadata && metadata->topic_cnt > 0 ? metadata->topics[0].partition_cnt : 0;
    if (metadata) rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    return count;
}

Received to_received(const rd_kafka_message_t& message) {
    Received received;
    received.has_payload = message.payload != nullptr;
    if (message.payload) received.payload.assign(static_cast<const char*>(message.payload), message.len);
    if (message.key) received.key.assign(static_cast<const char*>(message.key), message.key_len);
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0; ++i)
            received.headers[name] = std::string(static_cast<const char*>(value), size);
    }
    return received;
}

/// From the beginning; how many partitions there are.
int assign_all(rd_kafka_t* consumer, const std::string& topic) {
    const int partitions = partitions_of(consumer, topic);
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; ++i)
        rd_kafka_topic_partition_list_add(list, topic.c_str(), i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return partitions;
}

}  // namespace

rd_kafka_t* make_client(rd_kafka_type_t type, const KafkaOptions& options) {
    std::array<char, 512> text{};
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", text.data(), text.size());
    for (const auto& [name, value] : options)
        if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text.data(), text.size()) !=
            RD_KAFKA_CONF_OK)
            throw std::logic_error(text.data());
    rd_kafka_t* client = rd_kafka_new(type, conf, text.data(), text.size());
    if (!client) throw std::runtime_error(text.data());
    return client;
}

std::vector<KafkaRecord> read_topic(const std::string& servers, const std::string& topic, std::size_t count) {
    rd_kafka_t* consumer = make_client(RD_KAFKA_CONSUMER, {{"bootstrap.servers", servers},
                                                           {"group.id", "test"},
                                                           {"isolation.level", "read_committed"},
                                                           {"enable.partition.eof", "true"},
                                                           {"fetch.wait.max.ms", "20"}});
    rd_kafka_poll_set_consumer(consumer);
    const auto partitions = static_cast<std::size_t>(assign_all(consumer, topic));
    std::vector<KafkaRecord> all;
    std::set<int> at_end;
    const auto deadline = Steady::now() + std::chrono::seconds(20);
    while (Steady::now() < deadline && (at_end.size() < partitions || all.size() < count)) {
        rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, 50);
        if (!message) continue;
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            at_end.insert(message->partition);
        } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            at_end.erase(message->partition);
            all.push_back({message->partition, message->offset, rd_kafka_message_timestamp(message, nullptr),
                           to_received(*message)});
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return all;
}

void write_topic(const std::string& servers, const std::string& topic,
                 const std::vector<NewRecord>& records) {
    rd_kafka_t* producer = make_client(RD_KAFKA_PRODUCER, {{"bootstrap.servers", servers},
                                                           {"linger.ms", "0"},
                                                           {"enable.idempotence", "true"},
                                                           {"message.timeout.ms", "20000"}});
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    for (const NewRecord& record : records) {
        rd_kafka_headers_t* headers = rd_kafka_headers_new(record.headers.size());
        for (const auto& [name, value] : record.headers)
            rd_kafka_header_add(headers, name.c_str(), -1, value ? value->data() : nullptr,
                                value ? static_cast<ssize_t>(value->size()) : 0);
        const char* payload = record.payload ? record.payload->c_str() : nullptr;
        const std::size_t size = record.payload ? record.payload->size() : 0;
        const auto error = rd_kafka_producev(
            producer, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(record.partition),
            RD_KAFKA_V_VALUE(const_cast<char*>(payload), size),
            RD_KAFKA_V_KEY(record.key.empty() ? nullptr : record.key.data(), record.key.size()),
            RD_KAFKA_V_TIMESTAMP(now.count() - record.age_s * 1000), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) throw std::runtime_error(rd_kafka_err2str(error));
    }
    const auto error = rd_kafka_flush(producer, 21'000);
    rd_kafka_destroy(producer);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) throw std::runtime_error(rd_kafka_err2str(error));
}

std::int64_t committed_offset(const std::string& servers, const std::string& group, const std::string& topic,
                              int partition) {
    rd_kafka_t* consumer =
        make_client(RD_KAFKA_CONSUMER, {{"bootstrap.servers", servers}, {"group.id", group}});
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic.c_str(), partition);
    const auto error = rd_kafka_committed(consumer, list, 20'000);
    const std::int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(consumer);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) throw std::runtime_error(rd_kafka_err2str(error));
    return offset;
}

std::vector<Received> received_of(std::vector<KafkaRecord> records) {
    std::vector<Received> all;
    for (KafkaRecord& record : records) all.push_back(std::move(record.received));
    return all;
}

}  // namespace sluice::bridge::test
