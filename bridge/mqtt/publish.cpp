#include "bridge/mqtt/publish.hpp"

namespace sluice::bridge::mqtt {
namespace {

bool is_reserved(std::string_view name) {
    return name == id_property || name == sequence_property || name == origin_property;
}

std::optional<std::string> owned(const std::optional<std::string_view>& text) {
    if (!text) return std::nullopt;
    return std::string(*text);
}

}  // namespace

wire::Properties publish_properties(const HeaderList& list) {
    wire::Properties properties;
    for (const Header& header : list.headers()) {
        switch (header.field) {
            case HeaderField::message_id:
                properties.user_properties.push_back({id_property, header.value});
                break;
            case HeaderField::sequence:
                properties.user_properties.push_back({sequence_property, header.value});
                break;
            case HeaderField::origin:
                properties.user_properties.push_back({origin_property, header.value});
                break;
            case HeaderField::content_type:
                properties.content_type = header.value;
                break;
            case HeaderField::response_topic:
                properties.response_topic = header.value;
                break;
            case HeaderField::correlation_data:
                properties.correlation_data = as_bytes(header.value);
                break;
            case HeaderField::payload_format:
                properties.payload_format_indicator = static_cast<std::uint8_t>(header.number);
                break;
            case HeaderField::remaining_expiry_s:
                properties.message_expiry_interval_s = header.number;
                break;
            case HeaderField::user_property:
                if (!is_reserved(header.name))
                    properties.user_properties.push_back({header.name, header.value});
                break;
            case HeaderField::topic:
            case HeaderField::qos:
            case HeaderField::retain:
            case HeaderField::client_id:  // a PUBLISH has its own places for the rest, and none for this
                break;
        }
    }
    return properties;
}

std::uint64_t packet_bytes_bound(std::string_view topic, Bytes payload, const wire::Properties& properties) {
    constexpr std::uint64_t fixed = 40;  // the heads of the packet and of each single property
    std::uint64_t bytes = fixed + topic.size() + payload.size();
    bytes += properties.content_type.value_or("").size() + properties.response_topic.value_or("").size();
    bytes += properties.correlation_data.value_or(Bytes{}).size();
    for (const auto& property : properties.user_properties)
        bytes += 5 + property.name.size() + property.value.size();
    return bytes;
}

Incoming to_incoming(const wire::Publish& publish) {
    Incoming incoming;
    const wire::Properties& properties = publish.properties;
    incoming.source = publish.topic;
    incoming.mqtt_topic = publish.topic;
    incoming.payload = as_text(publish.payload);
    incoming.qos = publish.qos;
    incoming.retain = publish.retain;
    incoming.content_type = owned(properties.content_type);
    incoming.response_topic = owned(properties.response_topic);
    if (properties.correlation_data) incoming.correlation_data = as_text(*properties.correlation_data);
    if (properties.payload_format_indicator)
        incoming.payload_is_text = *properties.payload_format_indicator != 0;
    incoming.expiry_interval_s = properties.message_expiry_interval_s;
    incoming.headers.reserve(properties.user_properties.size());
    for (const auto& property : properties.user_properties) {
        if (property.name == origin_property) {
            incoming.origin = property.value;
        } else {
            incoming.headers.emplace_back(property.name, property.value);
        }
    }
    return incoming;
}

}  // namespace sluice::bridge::mqtt
