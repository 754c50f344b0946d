#include <fmt/format.h>

#include <algorithm>

#include "bridge/kafka/engine.hpp"

namespace sluice::bridge::kafka {
namespace {

constexpr std::size_t topic_bytes_max = 249;  // Kafka's own limit

bool is_topic_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

std::string_view name_of(const Header& header) {
    switch (header.field) {
        case HeaderField::message_id:
            return "sluice.id";
        case HeaderField::sequence:
            return "sluice.sequence";
        case HeaderField::origin:
            return "sluice.origin";
        case HeaderField::topic:
            return "mqtt.topic";
        case HeaderField::qos:
            return "mqtt.qos";
        case HeaderField::retain:
            return "mqtt.retain";
        case HeaderField::client_id:
            return "mqtt.client_id";
        case HeaderField::content_type:
            return "content-type";
        case HeaderField::response_topic:
            return "response-topic";
        case HeaderField::correlation_data:
            return "correlation-data";
        case HeaderField::payload_format:
            return "payload-format-indicator";
        case HeaderField::remaining_expiry_s:
            return "message-expiry-interval";
        case HeaderField::user_property:
            break;
    }
    return header.name;
}

}  // namespace

std::string topic_problem(std::string_view topic) {
    if (topic.empty()) return "the topic name is empty";
    if (topic == "." || topic == "..") return fmt::format("'{}' is no topic name", topic);
    if (topic.size() > topic_bytes_max)
        return fmt::format("the topic name has {} bytes, at most {} are possible", topic.size(),
                           topic_bytes_max);
    if (!std::all_of(topic.begin(), topic.end(), is_topic_char))
        return fmt::format("the topic name '{}' has other characters than letters, digits, '.', '_' and '-'",
                           topic);
    return {};
}

void append_topic(std::string& out, Template::Field field, std::string_view value) {
    const auto from = static_cast<std::ptrdiff_t>(out.size());
    out += value;
    if (field == Template::Field::topic) std::replace(out.begin() + from, out.end(), '/', '.');
}

HeadersPtr make_headers(const MessageView& view, WallTime now, const Identity& identity) {
    const HeaderList list(view, now, identity);
    const auto& headers = list.headers();
    const auto first_user = std::find_if(headers.begin(), headers.end(), [](const Header& header) {
        return header.field == HeaderField::user_property;
    });
    HeadersPtr result(rd_kafka_headers_new(headers.size()));
    for (const Header& header : headers) {
        const std::string_view name = name_of(header);
        if (header.field == HeaderField::user_property) {
            // A device must not pass its own word for ours: consumers take the last header of a name.
            const bool taken = name.starts_with("mqtt.") || name.starts_with("sluice.") ||
                               std::any_of(headers.begin(), first_user,
                                           [&](const Header& ours) { return name_of(ours) == name; });
            if (taken) continue;
        }
        rd_kafka_header_add(result.get(), name.data(), static_cast<ssize_t>(name.size()), header.value.data(),
                            static_cast<ssize_t>(header.value.size()));
    }
    return result;
}

}  // namespace sluice::bridge::kafka
