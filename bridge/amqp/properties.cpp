#include "bridge/amqp/properties.hpp"

#include <algorithm>

#include "bridge/amqp/connection.hpp"

namespace sluice::bridge::amqp {
namespace {

constexpr std::size_t short_text_bytes_max = 255;  // AMQP's short string
/// A message's headers must fit into one frame, whose size is 128 KiB.
constexpr std::size_t headers_bytes_max = 96UL * 1024;
/// RabbitMQ closes the channel on a longer one; such a message then never expires there.
constexpr std::uint64_t expiration_ms_max = 4'294'967'295;

/// The '_' is what the binding prefers, for the sake of JMS clients; ':' is its other spelling [CloudEvents
/// AMQP binding 1.0.2, 3.1.3.1].
constexpr std::string_view ce_prefix = "cloudEvents_";

/// Names that mean something to RabbitMQ or are ours: a device must not speak for either. CC and BCC would
/// route the message to queues of the device's choice.
bool is_reserved(std::string_view name) {
    return name == "CC" || name == "BCC" || name == "x-reply-to-topic" || name == "x-correlation-id" ||
           name.starts_with("x-mqtt-") || name.starts_with("x-sluice-") || name.starts_with("x-death") ||
           name.starts_with("x-first-death-") || name.starts_with("x-last-death-");
}

}  // namespace

void append_routing_key(std::string& out, Template::Field field, std::string_view value) {
    for (const char c : value) {
        if (c == '/' && field == Template::Field::topic) {
            out += '.';
        } else if (c == '.') {
            out += "%2E";
        } else if (c == '%') {
            out += "%25";
        } else {
            out += c;
        }
    }
}

MessageProperties::MessageProperties(const MessageView& view, WallTime now, const Identity& identity,
                                     bool persistent, const CloudEvent* event)
    : list_(view, now, identity), event_(event), left_out_(list_.left_out()) {
    properties_._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_HEADERS_FLAG;
    properties_.delivery_mode = persistent ? AMQP_DELIVERY_PERSISTENT : AMQP_DELIVERY_NONPERSISTENT;
    const auto received = std::chrono::floor<std::chrono::seconds>(view.message().received());
    properties_.timestamp = static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, static_cast<std::int64_t>(received.time_since_epoch().count())));
    headers_.reserve(list_.headers().size() + 1 + (event ? event->attributes().size() : 0));
    if (event) add_event();
    for (const Header& header : list_.headers()) take(header);
}

/// Before all other headers: an event without one of its attributes would be none.
void MessageProperties::add_event() {
    event_names_.reserve(event_->attributes().size());  // they must not move
    for (const CloudEventAttribute& attribute : event_->attributes()) {
        const std::string& name = event_names_.emplace_back(std::string(ce_prefix).append(attribute.name));
        add_text(name, attribute.value);
    }
    set_content_type(event_->content_type());
}

void MessageProperties::set_content_type(std::string_view type) {
    if (type.empty()) return;
    if (type.size() > short_text_bytes_max) {
        ++left_out_;
        return;
    }
    properties_.content_type = to_amqp(type);
    properties_._flags |= AMQP_BASIC_CONTENT_TYPE_FLAG;
}

void MessageProperties::take(const Header& header) {
    switch (header.field) {
        case HeaderField::message_id:
            properties_.message_id = to_amqp(header.value);
            properties_._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
            break;
        case HeaderField::sequence:
            add_text("x-sluice-sequence", header.value);
            break;
        case HeaderField::origin:
            add_text("x-sluice-origin", header.value);
            break;
        case HeaderField::topic:
            add_text("x-mqtt-topic", header.value);
            break;
        case HeaderField::qos:
        case HeaderField::payload_format: {
            const bool qos = header.field == HeaderField::qos;
            if (auto* value = add(qos ? "x-mqtt-qos" : "x-mqtt-payload-format", 4)) {
                value->kind = AMQP_FIELD_KIND_I32;
                value->value.i32 = static_cast<std::int32_t>(header.number);
            }
            break;
        }
        case HeaderField::retain:
            if (auto* value = add("x-mqtt-retain", 1)) {
                value->kind = AMQP_FIELD_KIND_BOOLEAN;
                value->value.boolean = header.number ? 1 : 0;
            }
            break;
        case HeaderField::client_id:
            add_text("x-mqtt-client-id", header.value);
            break;
        case HeaderField::content_type:
            set_content_type(header.value);
            break;
        case HeaderField::response_topic:
            append_routing_key(reply_topic_, Template::Field::topic, header.value);
            add_text("x-reply-to-topic", reply_topic_);
            break;
        case HeaderField::correlation_data:
            if (header.value.size() > short_text_bytes_max) {
                add_text("x-correlation-id", header.value);
                break;
            }
            properties_.correlation_id = to_amqp(header.value);
            properties_._flags |= AMQP_BASIC_CORRELATION_ID_FLAG;
            break;
        case HeaderField::remaining_expiry_s:
            if (header.number * 1000ULL > expiration_ms_max) break;
            expiration_ = std::to_string(header.number * 1000ULL);
            properties_.expiration = to_amqp(expiration_);
            properties_._flags |= AMQP_BASIC_EXPIRATION_FLAG;
            break;
        case HeaderField::user_property:
            add_user_property(header);
            break;
    }
}

void MessageProperties::add_user_property(const Header& header) {
    if (event_ && event_->owns(header.name)) return;
    if (is_reserved(header.name) || (event_ && header.name.starts_with("cloudEvents"))) {
        ++left_out_;
        return;
    }
    add_text(header.name, header.value);
}

/// nullptr when it does not fit: it is left out and the rest goes on.
amqp_field_value_t* MessageProperties::add(std::string_view name, std::size_t value_bytes) {
    const std::size_t bytes = 1 + name.size() + 1 + 4 + value_bytes;
    if (name.size() > short_text_bytes_max || header_bytes_ + bytes > headers_bytes_max) {
        ++left_out_;
        return nullptr;
    }
    header_bytes_ += bytes;
    amqp_table_entry_t entry{};
    entry.key = to_amqp(name);
    headers_.push_back(entry);
    return &headers_.back().value;
}

void MessageProperties::add_text(std::string_view name, std::string_view text) {
    if (auto* value = add(name, text.size())) {
        value->kind = AMQP_FIELD_KIND_UTF8;
        value->value.bytes = to_amqp(text);
    }
}

void MessageProperties::add_tag(std::uint64_t tag) {
    amqp_table_entry_t entry{};
    entry.key = to_amqp(tag_header);
    entry.value.kind = AMQP_FIELD_KIND_I64;
    entry.value.value.i64 = static_cast<std::int64_t>(tag);
    headers_.push_back(entry);
}

const amqp_basic_properties_t& MessageProperties::get() {
    properties_.headers = {static_cast<int>(headers_.size()), headers_.data()};
    return properties_;
}

}  // namespace sluice::bridge::amqp
