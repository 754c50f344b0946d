#include "bridge/mapping.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "wire/decode.hpp"
#include "wire/topic.hpp"

namespace sluice::bridge {

std::optional<std::string_view> MessageView::topic_level(std::size_t index) const {
    std::string_view rest = message_->topic();
    for (; index > 0; --index) {
        const auto slash = rest.find('/');
        if (slash == std::string_view::npos) return std::nullopt;
        rest.remove_prefix(slash + 1);
    }
    return rest.substr(0, rest.find('/'));
}

const wire::Properties& MessageView::properties() const {
    if (!properties_) {
        properties_.emplace();
        if (!message_->properties().empty()) {
            auto decoded = wire::decode_publish_properties(message_->properties());
            if (decoded) properties_ = std::move(decoded).value();
        }
    }
    return *properties_;
}

std::optional<std::string_view> MessageView::user_property(std::string_view name) const {
    for (const auto& property : properties().user_properties)
        if (property.name == name) return property.value;
    return std::nullopt;
}

const PayloadJson& MessageView::payload_json() const {
    if (!json_) json_ = std::make_unique<const PayloadJson>(as_text(message_->payload()));
    return *json_;
}

void Template::append_plain(std::string& out, Field, std::string_view value) {
    out += value;
}

std::string rfc3339_of(WallTime time) {
    using namespace std::chrono;
    const auto day = floor<days>(time);
    const year_month_day date(day);
    const hh_mm_ss clock(time - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

namespace {

/// None for what is no plain value. Numbers are written into `scratch`.
std::optional<std::string_view> text_of(const JsonValue& value, std::string& scratch) {
    switch (value.kind) {
        case JsonValue::Kind::boolean:
            return value.boolean ? "true" : "false";
        case JsonValue::Kind::integer:
            return scratch = std::to_string(value.integer);
        case JsonValue::Kind::real:
            return scratch = value.large != 0 ? std::to_string(value.large) : fmt::format("{}", value.real);
        case JsonValue::Kind::text:
            return value.text;
        case JsonValue::Kind::missing:
        case JsonValue::Kind::null:
        case JsonValue::Kind::structure:
            break;
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string_view> Template::value_of(const Part& part, const MessageView& view,
                                                   std::string& scratch) {
    static constexpr std::string_view qos_digits = "012";
    static constexpr std::size_t date_length = std::string_view("2024-05-01").size();
    const core::Message& message = view.message();
    switch (part.field) {
        case Field::literal:
            return part.text;
        case Field::topic:
            return message.topic();
        case Field::topic_level:
            return view.topic_level(part.level);
        case Field::client_id:  // the broker's own messages have an empty one: that is not a missing part
            if (message.client_id().empty() && part.has_fallback) return std::nullopt;
            return message.client_id();
        case Field::user_name:
            if (message.user_name().empty()) return std::nullopt;
            return message.user_name();
        case Field::qos:
            return qos_digits.substr(static_cast<std::size_t>(message.qos()), 1);
        case Field::retain:
            return message.retain() ? "true" : "false";
        case Field::content_type:
            return view.properties().content_type;
        case Field::date:
            scratch = rfc3339_of(message.received());
            return std::string_view(scratch).substr(0, date_length);
        case Field::received:
            return scratch = rfc3339_of(message.received());
        case Field::property:
            return view.user_property(part.text);
        case Field::payload:
            return text_of(view.payload_json().find(part.path), scratch);
    }
    return std::nullopt;
}

std::string Template::missing_text(const Part& part, const MessageView& view) const {
    switch (part.field) {
        case Field::topic_level:
            return fmt::format("'{}': the topic has no level {}", text_, part.level);
        case Field::property:
            return fmt::format("'{}': the message has no user property '{}'", text_, part.text);
        case Field::content_type:
            return fmt::format("'{}': the message has no content type", text_);
        case Field::payload:
            break;
        default:
            return fmt::format("'{}': the publisher has no user name", text_);
    }
    const PayloadJson& json = view.payload_json();
    if (const auto problem = json.problem(); !problem.empty())
        return fmt::format("'{}': the payload {}", text_, problem);
    if (json.find(part.path).kind == JsonValue::Kind::missing)
        return fmt::format("'{}': the payload has no {}", text_, part.text);
    return fmt::format("'{}': {} is no plain value", text_, part.text);
}

Result<void, std::string> Template::render_part(const Part& part, const MessageView& view, std::string& out,
                                                Append append) const {
    if (part.field == Field::literal) {
        out += part.text;
        return {};
    }
    std::string scratch;
    const auto value = value_of(part, view, scratch);
    if (!value && !part.has_fallback) return Err{missing_text(part, view)};
    append(out, part.field, value ? *value : part.fallback);
    return {};
}

Result<void, std::string> Template::render(const MessageView& view, std::string& out, Append append) const {
    out.clear();
    for (const Part& part : parts_) {
        auto rendered = render_part(part, view, out, append);
        if (!rendered) return rendered;
    }
    return {};
}

Result<std::string, std::string> Template::render(const core::Message& message, Append append) const {
    std::string out;
    auto rendered = render(MessageView(message), out, append);
    if (!rendered) return Err{rendered.error()};
    return out;
}

bool Template::is_literal() const {
    return std::all_of(parts_.begin(), parts_.end(),
                       [](const Part& part) { return part.field == Field::literal; });
}

std::string message_id_of(const Identity& identity) {
    return fmt::format("{}-{}", identity.origin, identity.sequence);
}

HeaderList::HeaderList(const MessageView& view, WallTime now, const Identity& identity) {
    static constexpr std::string_view digits = "012";
    const core::Message& message = view.message();
    const wire::Properties& properties = view.properties();
    headers_.reserve(12 + properties.user_properties.size());
    if (!identity.origin.empty()) {
        message_id_ = message_id_of(identity);
        sequence_text_ = std::to_string(identity.sequence);
        add(HeaderField::message_id, message_id_);
        add(HeaderField::sequence, sequence_text_);
        add(HeaderField::origin, identity.origin);
    }
    add(HeaderField::topic, message.topic());
    const auto qos = static_cast<std::uint32_t>(message.qos());
    add_number(HeaderField::qos, qos, digits.substr(qos, 1));
    add_number(HeaderField::retain, message.retain() ? 1 : 0, message.retain() ? "true" : "false");
    if (!message.client_id().empty()) add(HeaderField::client_id, message.client_id());
    if (properties.content_type) add(HeaderField::content_type, *properties.content_type);
    if (properties.response_topic) add(HeaderField::response_topic, *properties.response_topic);
    if (properties.correlation_data)
        add(HeaderField::correlation_data, as_text(*properties.correlation_data));
    if (properties.payload_format_indicator) {
        const std::uint32_t format = *properties.payload_format_indicator ? 1 : 0;
        add_number(HeaderField::payload_format, format, digits.substr(format, 1));
    }
    if (const auto expiry = message.remaining_expiry_s(now)) {
        expiry_text_ = std::to_string(*expiry);
        add_number(HeaderField::remaining_expiry_s, *expiry, expiry_text_);
    }
    for (const auto& property : properties.user_properties)
        add(HeaderField::user_property, property.value, property.name);
}

void HeaderList::add(HeaderField field, std::string_view value, std::string_view name) {
    // Correlation data are bytes by their nature [MQTT-3.3.2.3.6]; the rest is text for whoever reads it.
    const bool text = field != HeaderField::correlation_data;
    if (value.size() > header_bytes_max || name.size() > header_bytes_max ||
        (text && !(wire::is_mqtt_utf8(value) && wire::is_mqtt_utf8(name)))) {
        ++left_out_;
        return;
    }
    headers_.push_back({field, name, value, 0});
}

void HeaderList::add_number(HeaderField field, std::uint32_t number, std::string_view text) {
    headers_.push_back({field, {}, text, number});
}

}  // namespace sluice::bridge
