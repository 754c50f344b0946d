#include <fmt/format.h>

#include <algorithm>

#include "bridge/kafka/engine.hpp"

namespace sluice::bridge::kafka {
namespace {

constexpr std::size_t topic_bytes_max = 249;   // Kafka's own limit
constexpr std::string_view ce_prefix = "ce_";  // of CloudEvents' Kafka binding 1.0.2, 3.2.3.1

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

void append_topic_replacing(std::string& out, Template::Field field, std::string_view value) {
    for (const char c : value) {
        if (is_topic_char(c)) {
            out += c;
        } else if (c == '/' && field == Template::Field::topic) {
            out += '.';
        } else if ((static_cast<unsigned char>(c) & 0xc0U) !=
                   0x80) {  // one '_' for a character of many bytes
            out += '_';
        }
    }
}

namespace {

void add_header(rd_kafka_headers_t* to, std::string_view name, std::string_view value) {
    rd_kafka_header_add(to, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                        static_cast<ssize_t>(value.size()));
}

void add_event(rd_kafka_headers_t* to, const CloudEvent& event) {
    std::string name;
    for (const CloudEventAttribute& attribute : event.attributes()) {
        name.assign(ce_prefix).append(attribute.name);
        add_header(to, name, attribute.value);
    }
    if (!event.content_type().empty())
        add_header(to, name_of({HeaderField::content_type, {}, {}}), event.content_type());
}

}  // namespace

HeadersPtr make_headers(const MessageView& view, WallTime now, const Identity& identity,
                        const HeaderChoice& choice) {
    const CloudEvent* const event = choice.event;
    const HeaderList list(view, now, identity);
    const auto& headers = list.headers();
    const auto first_user = std::find_if(headers.begin(), headers.end(), [](const Header& header) {
        return header.field == HeaderField::user_property;
    });
    HeadersPtr result(rd_kafka_headers_new(headers.size() + 1 + (event ? event->attributes().size() : 0)));
    for (const Header& header : headers) {
        if (!choice.mqtt && header.field != HeaderField::content_type) continue;
        const std::string_view name = name_of(header);
        if (header.field == HeaderField::user_property) {
            // A device must not pass its own word for ours: consumers take the last header of a name.
            const bool taken = name.starts_with("mqtt.") || name.starts_with("sluice.") ||
                               (event && (name.starts_with(ce_prefix) || event->owns(name))) ||
                               std::any_of(headers.begin(), first_user,
                                           [&](const Header& ours) { return name_of(ours) == name; });
            if (taken) continue;
        }
        add_header(result.get(), name, header.value);
    }
    if (choice.received) add_header(result.get(), "sluice.received", rfc3339_of(view.message().received()));
    if (event) add_event(result.get(), *event);
    return result;
}

}  // namespace sluice::bridge::kafka
