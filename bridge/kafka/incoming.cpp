// A record of Kafka taken apart: the inverse of record.cpp.
#include <algorithm>
#include <charconv>

#include "bridge/kafka/consumer.hpp"

namespace sluice::bridge::kafka {
namespace {

std::string text_of(const void* data, std::size_t size) {
    return data ? std::string(static_cast<const char*>(data), size) : std::string();
}

std::optional<std::uint32_t> number_of(const std::string& text) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

/// Empty: the time of the record is not that of its way into Kafka.
std::optional<WallTime> sent_at(const rd_kafka_message_t& record, const std::string& origin) {
    rd_kafka_timestamp_type_t type{};
    const std::int64_t time = rd_kafka_message_timestamp(&record, &type);
    if (time < 0 || type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE) return std::nullopt;
    // A gateway stamps a record with the time at which it received the message, unless told otherwise, and
    // writes what is left of the interval when it sends it: the wait in its spool must not count twice.
    if (type == RD_KAFKA_TIMESTAMP_CREATE_TIME && !origin.empty()) return std::nullopt;
    return WallTime(Millis(time));
}

/// A header of ours; false when it is none, or says nothing that we understand.
bool take_header(Incoming& incoming, std::string_view name, std::string& value) {
    if (name == "mqtt.topic") {
        incoming.mqtt_topic = std::move(value);
    } else if (name == "sluice.origin") {
        incoming.origin = std::move(value);
    } else if (name == "content-type") {
        incoming.content_type = std::move(value);
    } else if (name == "response-topic") {
        incoming.response_topic = std::move(value);
    } else if (name == "correlation-data") {
        incoming.correlation_data = std::move(value);
    } else if (name == "payload-format-indicator" && (value == "0" || value == "1")) {
        incoming.payload_is_text = value == "1";
    } else if (name == "mqtt.retain" && (value == "true" || value == "false")) {
        incoming.retain = value == "true";
    } else if (name == "mqtt.qos" && (value == "0" || value == "1" || value == "2")) {
        incoming.qos = static_cast<wire::QoS>(value[0] - '0');
    } else if (const auto seconds = number_of(value); name == "message-expiry-interval" && seconds) {
        incoming.expiry_interval_s = *seconds;
    } else {
        return false;
    }
    return true;
}

}  // namespace

Incoming to_incoming(const rd_kafka_message_t& record, WallTime now) {
    Incoming incoming;
    incoming.source = rd_kafka_topic_name(record.rkt);
    incoming.key = text_of(record.key, record.key_len);
    incoming.payload = text_of(record.payload, record.len);  // a tombstone has none
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&record, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        for (std::size_t i = 0;
             rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
            std::string text = text_of(value, size);
            if (!take_header(incoming, name, text)) incoming.headers.emplace_back(name, std::move(text));
        }
    }
    if (const auto sent = sent_at(record, incoming.origin); sent && incoming.expiry_interval_s) {
        const auto waited = std::chrono::duration_cast<std::chrono::seconds>(now - *sent).count();
        const auto left =
            std::max<std::int64_t>(0, *incoming.expiry_interval_s - std::max<std::int64_t>(0, waited));
        incoming.expiry_interval_s = static_cast<std::uint32_t>(left);
    }
    return incoming;
}

}  // namespace sluice::bridge::kafka
