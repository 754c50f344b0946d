#include "bridge/down_mapping.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "wire/encode.hpp"
#include "wire/topic.hpp"

namespace sluice::bridge {
namespace {

constexpr std::size_t text_bytes_max = 65535;  // MQTT's strings

std::optional<std::string_view> level_of(std::string_view text, std::size_t index) {
    const char separator = text.find('/') == std::string_view::npos ? '.' : '/';
    for (; index > 0; --index) {
        const auto end = text.find(separator);
        if (end == std::string_view::npos) return std::nullopt;
        text.remove_prefix(end + 1);
    }
    return text.substr(0, text.find(separator));
}

std::optional<std::string_view> header_of(const Incoming& incoming, std::string_view name) {
    for (const auto& [key, value] : incoming.headers)
        if (key == name) return value;
    return std::nullopt;
}

bool is_text(std::string_view text) {
    return text.size() <= text_bytes_max && wire::is_mqtt_utf8(text);
}

/// What is no UTF-8, or too long for MQTT, is left out, and the rest goes on.
ByteBuffer properties_of(const Incoming& incoming) {
    wire::Properties properties;
    if (incoming.payload_is_text) properties.payload_format_indicator = *incoming.payload_is_text ? 1 : 0;
    if (incoming.content_type && is_text(*incoming.content_type))
        properties.content_type = *incoming.content_type;
    if (incoming.response_topic && is_text(*incoming.response_topic) &&
        wire::is_topic_name(*incoming.response_topic))
        properties.response_topic = *incoming.response_topic;
    if (incoming.correlation_data && incoming.correlation_data->size() <= text_bytes_max)
        properties.correlation_data = as_bytes(*incoming.correlation_data);
    for (const auto& [name, value] : incoming.headers)
        if (is_text(name) && is_text(value)) properties.user_properties.push_back({name, value});
    ByteBuffer out;
    wire::encode_property_run(out, properties);
    return out;
}

std::string topic_problem(std::string_view topic) {
    if (topic.size() > text_bytes_max)
        return fmt::format("the topic has {} bytes, at most {} are possible", topic.size(), text_bytes_max);
    if (topic.starts_with('$'))
        return fmt::format("the topic '{}' begins with '$': it is the broker's own", topic);
    if (!wire::is_mqtt_utf8(topic)) return "the topic is no UTF-8, or has a character that MQTT forbids";
    if (!wire::is_topic_name(topic)) return fmt::format("'{}' is no topic name", topic);
    return {};
}

}  // namespace

Result<DownTemplate::Part, std::string> DownTemplate::part_of(Placeholder placeholder) {
    Part part{.field = Field::literal,
              .level = 0,
              .text = std::string(placeholder.name),
              .fallback = std::move(placeholder.fallback)};
    const std::string_view name = placeholder.name;
    const auto level_part = [&](std::string_view before, Field field) -> Result<Part, std::string> {
        const auto level = parse_level(name.substr(before.size()));
        if (!level)
            return TemplateReader::fail(
                placeholder.at + before.size(),
                fmt::format("bad level; expected a number from 0 and ']', as in {{{}1]}}", before));
        part.field = field;
        part.level = *level;
        return part;
    };
    if (name.starts_with("topic[")) return level_part("topic[", Field::topic_level);
    if (name.starts_with("source[")) return level_part("source[", Field::source_level);
    if (name == "topic") {
        part.field = Field::topic;
    } else if (name == "source") {
        part.field = Field::source;
    } else if (name == "key") {
        part.field = Field::key;
    } else if (name.starts_with("header.") && name.size() > 7) {
        part.field = Field::header;
        part.text = name.substr(7);
    } else {
        return TemplateReader::fail(placeholder.at,
                                    fmt::format("unknown placeholder '{}'; expected topic, topic[N], source, "
                                                "source[N], key or header.NAME",
                                                name));
    }
    return part;
}

Result<DownTemplate, std::string> DownTemplate::parse(std::string_view text) {
    TemplateReader reader(text);
    DownTemplate result;
    while (true) {
        auto literal = reader.literal();
        if (!literal) return Err{literal.error()};
        if (!literal->empty())
            result.parts_.push_back({.field = Field::literal, .level = 0, .text = *literal, .fallback = {}});
        if (reader.at_end()) return result;
        auto placeholder = reader.plain();
        if (!placeholder) return Err{placeholder.error()};
        auto part = part_of(std::move(placeholder).value());
        if (!part) return Err{part.error()};
        result.parts_.push_back(std::move(part).value());
    }
}

Result<std::string, std::string> DownTemplate::render(const Incoming& incoming) const {
    std::string out;
    const auto non_empty = [](const std::string& text) -> std::optional<std::string_view> {
        if (text.empty()) return std::nullopt;
        return text;
    };
    for (const Part& part : parts_) {
        std::optional<std::string_view> value;
        switch (part.field) {
            case Field::literal:
                value = part.text;
                break;
            case Field::topic:
                value = non_empty(incoming.mqtt_topic);
                break;
            case Field::topic_level:
                if (!incoming.mqtt_topic.empty()) value = level_of(incoming.mqtt_topic, part.level);
                break;
            case Field::source:
                value = incoming.source;
                break;
            case Field::source_level:
                value = level_of(incoming.source, part.level);
                break;
            case Field::key:
                value = non_empty(incoming.key);
                break;
            case Field::header:
                value = header_of(incoming, part.text);
                break;
        }
        if (!value && part.fallback) value = *part.fallback;
        if (!value) return Err{fmt::format("it has no '{}'", part.text)};
        out += *value;
    }
    return out;
}

Result<core::MessagePtr, std::string> to_message(const Incoming& incoming, const DownTemplate& topic,
                                                 const DownSettings& settings, std::string_view publisher,
                                                 WallTime now) {
    auto name = topic.render(incoming);
    if (!name) return Err{name.error()};
    if (std::string problem = topic_problem(*name); !problem.empty()) return Err{std::move(problem)};
    const ByteBuffer properties = properties_of(incoming);
    core::Message::Fields fields;
    fields.topic = *name;
    fields.properties = properties;
    fields.payload = as_bytes(incoming.payload);
    fields.qos = static_cast<wire::QoS>(settings.qos);
    fields.retain =
        settings.retain == DownRetain::always || (settings.retain == DownRetain::keep && incoming.retain);
    fields.client_id = publisher;
    fields.received = now;
    fields.expiry_interval_s = incoming.expiry_interval_s;
    return core::Message::freeze(fields);
}

}  // namespace sluice::bridge
