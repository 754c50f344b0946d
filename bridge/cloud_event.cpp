#include "bridge/cloud_event.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "wire/topic.hpp"

namespace sluice::bridge {
namespace {

constexpr std::string_view version = "1.0";
constexpr std::size_t name_bytes_max = 20;   // what the specification asks names to stay within
constexpr std::size_t attributes_max = 100;  // of a message that is an event already
constexpr std::array<std::string_view, 4> required{"specversion", "id", "source", "type"};

/// Lower-case letters and digits [CloudEvents 1.0.2, 3.1].
bool is_attribute_name(std::string_view name) {
    const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    return !name.empty() && name.size() <= name_bytes_max && std::all_of(name.begin(), name.end(), fits);
}

/// A CloudEvents String has no control characters [CloudEvents 1.0.2, 3.2]; those over ASCII are let pass.
bool is_attribute_value(std::string_view value) {
    const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; };
    return value.size() <= header_bytes_max && wire::is_mqtt_utf8(value) &&
           std::none_of(value.begin(), value.end(), is_control);
}

/// "application/cloudevents+json; charset=utf-8": the payload is the whole event.
bool is_structured(const wire::Properties& properties) {
    constexpr std::string_view media_type = "application/cloudevents";
    if (!properties.content_type) return false;
    const std::string_view begin = properties.content_type->substr(0, media_type.size());
    return std::equal(begin.begin(), begin.end(), media_type.begin(), media_type.end(), [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
}

/// A source is a URI reference: everything that cannot stand in one is escaped.
void append_uri(std::string& out, Template::Field, std::string_view value) {
    constexpr std::string_view marks = "-._~/:@!$&'()*+,;=";
    for (const char c : value) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           marks.find(c) != std::string_view::npos;
        if (plain) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
}

}  // namespace

bool CloudEvent::owns(std::string_view user_property) const {
    if (!taken_over_) return false;
    return user_property == "datacontenttype" ||
           std::any_of(attributes_.begin(), attributes_.end(),
                       [&](const CloudEventAttribute& attribute) { return attribute.name == user_property; });
}

/// Whether the message is an event by the MQTT binding: then its user properties are the attributes, under
/// their plain names, extensions among them [CloudEvents MQTT binding 1.0.2, 3.1.3].
bool CloudEvent::take_over(const MessageView& view) {
    const wire::Properties& properties = view.properties();
    if (view.user_property("specversion") != version) return false;
    for (const auto& [name, value] : properties.user_properties) {
        if (!is_attribute_name(name) || !is_attribute_value(value) || value.empty()) continue;
        if (name == "data" || attributes_.size() >= attributes_max) continue;
        const bool again = std::any_of(attributes_.begin(), attributes_.end(),
                                       [&, n = name](const auto& attribute) { return attribute.name == n; });
        if (again) continue;  // the first one counts, as everywhere
        if (name != "datacontenttype") {
            attributes_.push_back({name, value});
        } else if (!properties.content_type && content_type_.empty()) {
            content_type_ = value;
        }
    }
    taken_over_ = std::all_of(required.begin(), required.end(), [this](std::string_view name) {
        return std::any_of(attributes_.begin(), attributes_.end(),
                           [&](const auto& attribute) { return attribute.name == name; });
    });
    return taken_over_;
}

Result<CloudEventMapping, std::string> CloudEventMapping::parse(std::string_view type,
                                                                std::string_view source,
                                                                std::string_view origin) {
    auto parsed_type = Template::parse(type, origin);
    if (!parsed_type) return Err{fmt::format("ce_type: {}", parsed_type.error())};
    auto parsed_source = Template::parse(source, origin);
    if (!parsed_source) return Err{fmt::format("ce_source: {}", parsed_source.error())};
    if (type.empty()) return Err{std::string("ce_type: is empty; expected a template of the event's type")};
    if (source.empty())
        return Err{std::string("ce_source: is empty; expected a template of the event's source")};
    return CloudEventMapping(std::move(parsed_type).value(), std::move(parsed_source).value());
}

Result<void, std::string> CloudEventMapping::render(const MessageView& view, const Identity& identity,
                                                    CloudEvent& event) const {
    event.attributes_.clear();
    event.content_type_ = {};
    event.taken_over_ = false;
    if (is_structured(view.properties()) || event.take_over(view)) return {};
    event.attributes_.clear();
    event.content_type_ = {};
    auto rendered = type_.render(view, event.type_);
    if (rendered) rendered = source_.render(view, event.source_, &append_uri);
    if (!rendered) return rendered;
    for (const auto& [key, text] : {std::pair("ce_type", &event.type_), {"ce_source", &event.source_}}) {
        if (text->empty()) return Err{fmt::format("the event's {} is empty", key)};
        if (!is_attribute_value(*text))
            return Err{
                fmt::format("the event's {} has characters that cannot stand in it, or is longer than "
                            "{} bytes",
                            key, header_bytes_max)};
    }
    event.id_ = identity.origin.empty() ? std::to_string(identity.sequence) : message_id_of(identity);
    event.time_ = rfc3339_of(view.message().received());
    event.attributes_ = {{"specversion", version},
                         {"id", event.id_},
                         {"source", event.source_},
                         {"type", event.type_},
                         {"time", event.time_}};
    const std::string_view topic = view.message().topic();
    if (is_attribute_value(topic) && !topic.empty()) event.attributes_.push_back({"subject", topic});
    return {};
}

}  // namespace sluice::bridge
