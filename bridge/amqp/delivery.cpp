#include "bridge/amqp/delivery.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "bridge/amqp/connection.hpp"
#include "bridge/amqp/reply_text.hpp"
#include "bridge/mapping.hpp"

namespace sluice::bridge::amqp {
namespace {

constexpr int levels_max = 8;

std::string_view view_of(amqp_bytes_t bytes) {
    return {static_cast<const char*>(bytes.bytes), bytes.len};
}

void append_value(std::string& out, const amqp_field_value_t& value, int level);

void append_quoted(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
}

/// Inside of an array or a table.
void append_element(std::string& out, const amqp_field_value_t& value, int level) {
    if (value.kind == AMQP_FIELD_KIND_UTF8 || value.kind == AMQP_FIELD_KIND_BYTES) {
        append_quoted(out, view_of(value.value.bytes));
    } else if (value.kind == AMQP_FIELD_KIND_VOID) {
        out += "null";
    } else {
        append_value(out, value, level);
    }
}

void append_array(std::string& out, const amqp_array_t& array, int level) {
    out += '[';
    for (int i = 0; i < array.num_entries && out.size() < header_bytes_max; ++i) {
        if (i > 0) out += ',';
        append_element(out, array.entries[i], level + 1);
    }
    out += ']';
}

void append_table(std::string& out, const amqp_table_t& table, int level) {
    out += '{';
    for (int i = 0; i < table.num_entries && out.size() < header_bytes_max; ++i) {
        if (i > 0) out += ',';
        append_quoted(out, view_of(table.entries[i].key));
        out += ':';
        append_element(out, table.entries[i].value, level + 1);
    }
    out += '}';
}

/// So many of its digits stand behind the point.
void append_decimal(std::string& out, const amqp_decimal_t& decimal) {
    std::string digits = std::to_string(decimal.value);
    if (digits.size() <= decimal.decimals) digits.insert(0, decimal.decimals + 1U - digits.size(), '0');
    if (decimal.decimals > 0) digits.insert(digits.size() - decimal.decimals, 1, '.');
    out += digits;
}

void append_value(std::string& out, const amqp_field_value_t& value, int level) {
    const auto put = [&out](auto number) { fmt::format_to(std::back_inserter(out), "{}", number); };
    if (level > levels_max) {
        out += "...";
        return;
    }
    switch (value.kind) {
        case AMQP_FIELD_KIND_BOOLEAN:
            out += value.value.boolean ? "true" : "false";
            break;
        case AMQP_FIELD_KIND_I8:
            return put(static_cast<int>(value.value.i8));
        case AMQP_FIELD_KIND_U8:
            return put(static_cast<unsigned>(value.value.u8));
        case AMQP_FIELD_KIND_I16:
            return put(value.value.i16);
        case AMQP_FIELD_KIND_U16:
            return put(value.value.u16);
        case AMQP_FIELD_KIND_I32:
            return put(value.value.i32);
        case AMQP_FIELD_KIND_U32:
            return put(value.value.u32);
        case AMQP_FIELD_KIND_I64:
            return put(value.value.i64);
        case AMQP_FIELD_KIND_U64:
        case AMQP_FIELD_KIND_TIMESTAMP:
            return put(value.value.u64);
        case AMQP_FIELD_KIND_F32:
            return put(value.value.f32);
        case AMQP_FIELD_KIND_F64:
            return put(value.value.f64);
        case AMQP_FIELD_KIND_DECIMAL:
            return append_decimal(out, value.value.decimal);
        case AMQP_FIELD_KIND_UTF8:
        case AMQP_FIELD_KIND_BYTES:
            out += view_of(value.value.bytes);
            break;
        case AMQP_FIELD_KIND_ARRAY:
            return append_array(out, value.value.array, level);
        case AMQP_FIELD_KIND_TABLE:
            return append_table(out, value.value.table, level);
        default:  // void, which has no text
            break;
    }
}

std::optional<std::uint32_t> number_of(const amqp_field_value_t& value) {
    const std::string text = text_of(value);
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

/// "60000", in ms. What waited in the queue is still in it: the server does not say how long that was.
std::optional<std::uint32_t> expiry_of(std::string_view expiration) {
    std::uint64_t expiry_ms = 0;
    const char* end = expiration.data() + expiration.size();
    const auto [stop, error] = std::from_chars(expiration.data(), end, expiry_ms);
    if (error != std::errc{} || stop != end) return std::nullopt;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>((expiry_ms + 999) / 1000, UINT32_MAX));
}

/// True when it was one of those that have a meaning of their own.
bool take_known(std::string_view name, const amqp_field_value_t& value, Incoming& incoming,
                bool& from_plugin) {
    if (name == "x-mqtt-topic") {
        incoming.mqtt_topic = text_of(value);
    } else if (name == "x-sluice-origin") {
        incoming.origin = text_of(value);
    } else if (name == "x-mqtt-qos" || name == "x-mqtt-publish-qos") {
        from_plugin |= name == "x-mqtt-publish-qos";
        if (const auto qos = number_of(value); qos && *qos <= 2) incoming.qos = static_cast<wire::QoS>(*qos);
    } else if (name == "x-mqtt-retain") {
        incoming.retain = text_of(value) == "true";
    } else if (name == "x-mqtt-payload-format") {
        if (const auto format = number_of(value); format && *format <= 1)
            incoming.payload_is_text = *format == 1;
    } else if (name == "x-reply-to-topic") {
        incoming.response_topic = topic_of_routing_key(text_of(value));
    } else if (name == "x-correlation-id") {
        incoming.correlation_data = text_of(value);
    } else {
        // How it came into the queue says nothing about how it leaves us.
        return name == tag_header || name == "x-mqtt-dup";
    }
    return true;
}

}  // namespace

std::string topic_of_routing_key(std::string_view key) {
    std::string topic;
    topic.reserve(key.size());
    for (std::size_t i = 0; i < key.size(); ++i) {
        const std::string_view escape = key.substr(i, 3);
        if (key[i] == '.') {
            topic += '/';
        } else if (escape == "%2E" || escape == "%2e" || escape == "%25") {
            topic += escape == "%25" ? '%' : '.';
            i += 2;
        } else {
            topic += key[i];
        }
    }
    return topic;
}

std::string text_of(const amqp_field_value_t& value) {
    std::string out;
    append_value(out, value, 0);
    if (out.size() > header_bytes_max) out.resize(header_bytes_max);
    return out;
}

void take_properties(const amqp_basic_properties_t& properties, std::string_view routing_key,
                     Incoming& incoming) {
    const auto has = [&](amqp_flags_t flag) { return (properties._flags & flag) != 0; };
    incoming.source = routing_key;
    if (has(AMQP_BASIC_CONTENT_TYPE_FLAG)) incoming.content_type = to_string(properties.content_type);
    if (has(AMQP_BASIC_CORRELATION_ID_FLAG)) incoming.correlation_data = to_string(properties.correlation_id);
    if (has(AMQP_BASIC_EXPIRATION_FLAG))
        incoming.expiry_interval_s = expiry_of(view_of(properties.expiration));
    const auto add = [&](amqp_flags_t flag, const char* name, amqp_bytes_t text) {
        if (has(flag)) incoming.headers.emplace_back(name, to_string(text));
    };
    add(AMQP_BASIC_MESSAGE_ID_FLAG, "amqp-message-id", properties.message_id);
    add(AMQP_BASIC_TYPE_FLAG, "amqp-type", properties.type);
    add(AMQP_BASIC_APP_ID_FLAG, "amqp-app-id", properties.app_id);
    add(AMQP_BASIC_USER_ID_FLAG, "amqp-user-id", properties.user_id);
    add(AMQP_BASIC_REPLY_TO_FLAG, "amqp-reply-to", properties.reply_to);
    add(AMQP_BASIC_CONTENT_ENCODING_FLAG, "amqp-content-encoding", properties.content_encoding);
    if (!has(AMQP_BASIC_HEADERS_FLAG)) return;
    bool from_plugin = false;
    for (int i = 0; i < properties.headers.num_entries; ++i) {
        const amqp_table_entry_t& entry = properties.headers.entries[i];
        const std::string_view name = view_of(entry.key);
        if (!take_known(name, entry.value, incoming, from_plugin))
            incoming.headers.emplace_back(name, text_of(entry.value));
    }
    if (from_plugin && incoming.mqtt_topic.empty()) incoming.mqtt_topic = topic_of_routing_key(routing_key);
}

}  // namespace sluice::bridge::amqp
