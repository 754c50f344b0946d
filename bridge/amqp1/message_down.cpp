#include "bridge/amqp1/message_down.hpp"

#include <algorithm>
#include <limits>

#include "wire/topic.hpp"

namespace sluice::bridge::amqp1 {
namespace {

enum Section : std::uint64_t {
    header = 0x70,
    delivery_annotations = 0x71,
    message_annotations = 0x72,
    properties = 0x73,
    application_properties = 0x74,
    data = 0x75,
    sequence = 0x76,
    value = 0x77,
    footer = 0x78,
};

/// Of the list `properties`, in the specification's order.
enum Property : std::size_t {
    message_id,
    user_id,
    to,
    subject,
    reply_to,
    correlation_id,
    content_type,
    content_encoding,
    absolute_expiry_time,
    creation_time,
    group_id,
    group_sequence,
    reply_to_group_id,
};

std::string uuid_text(const pn_uuid_t& uuid) {
    std::string text;
    for (std::size_t i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += fmt::format("{:02x}", static_cast<unsigned char>(uuid.bytes[i]));
    }
    return text;
}

/// The current value as text; none when it is null, or a list, map or array.
std::optional<std::string> scalar_text(pn_data_t* at) {
    switch (pn_data_type(at)) {
        case PN_STRING:
        case PN_SYMBOL:
        case PN_BINARY:
            return std::string(from_pn(pn_data_get_bytes(at)));
        case PN_BOOL:
            return pn_data_get_bool(at) ? "true" : "false";
        case PN_UBYTE:
            return std::to_string(pn_data_get_ubyte(at));
        case PN_BYTE:
            return std::to_string(pn_data_get_byte(at));
        case PN_USHORT:
            return std::to_string(pn_data_get_ushort(at));
        case PN_SHORT:
            return std::to_string(pn_data_get_short(at));
        case PN_UINT:
            return std::to_string(pn_data_get_uint(at));
        case PN_INT:
            return std::to_string(pn_data_get_int(at));
        case PN_ULONG:
            return std::to_string(pn_data_get_ulong(at));
        case PN_LONG:
            return std::to_string(pn_data_get_long(at));
        case PN_TIMESTAMP:
            return std::to_string(pn_data_get_timestamp(at));
        case PN_FLOAT:
            return fmt::format("{}", pn_data_get_float(at));
        case PN_DOUBLE:
            return fmt::format("{}", pn_data_get_double(at));
        case PN_UUID:
            return uuid_text(pn_data_get_uuid(at));
        default:
            return std::nullopt;
    }
}

std::uint32_t seconds_left(std::uint64_t milliseconds) {
    const std::uint64_t seconds = (milliseconds + 999) / 1000;
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(seconds, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

Result<Incoming, std::string> MessageDecoder::decode(std::string_view bytes, const std::string& address,
                                                     WallTime now) {
    Incoming incoming;
    subject_.clear();
    pn_data_t* at = data_.get();
    while (!bytes.empty()) {
        pn_data_clear(at);
        const ssize_t used = pn_data_decode(at, bytes.data(), bytes.size());
        if (used <= 0) return Err{std::string("its bytes are damaged")};
        bytes.remove_prefix(static_cast<std::size_t>(used));
        pn_data_rewind(at);
        if (!pn_data_next(at) || !pn_data_is_described(at) || !pn_data_enter(at) || !pn_data_next(at) ||
            pn_data_type(at) != PN_ULONG)
            return Err{std::string("it has a section of an unknown kind")};
        const std::uint64_t descriptor = pn_data_get_ulong(at);
        if (!pn_data_next(at)) return Err{std::string("its bytes are damaged")};
        auto taken = take_section(descriptor, incoming, now);
        if (!taken) return Err{taken.error()};
    }
    if (incoming.source.empty()) incoming.source = subject_;
    if (incoming.source.empty()) incoming.source = address;
    if (!subject_.empty() && subject_ != incoming.source && subject_ != incoming.mqtt_topic)
        incoming.headers.emplace_back("subject", subject_);
    return incoming;
}

Result<void, std::string> MessageDecoder::take_section(std::uint64_t descriptor, Incoming& incoming,
                                                       WallTime now) {
    switch (descriptor) {
        case Section::header:
            take_header(incoming);
            return {};
        case Section::message_annotations:
            take_annotations(incoming);
            return {};
        case Section::properties:
            take_properties(incoming, now);
            return {};
        case Section::application_properties:
            take_application_properties(incoming);
            return {};
        case Section::data:
            if (pn_data_type(data_.get()) != PN_BINARY) return Err{std::string("its bytes are damaged")};
            incoming.payload += from_pn(pn_data_get_binary(data_.get()));
            return {};
        case Section::value:
            return take_value(incoming);
        case Section::sequence:
            return Err{std::string("its body is an amqp-sequence; expected data, or a string or number")};
        case Section::delivery_annotations:
        case Section::footer:
            return {};
        default:
            return Err{fmt::format("it has a section of an unknown kind ({:#x})", descriptor)};
    }
}

void MessageDecoder::take_header(Incoming& incoming) {
    pn_data_t* at = data_.get();
    if (pn_data_type(at) != PN_LIST) return;
    pn_data_enter(at);
    for (std::size_t i = 0; pn_data_next(at); ++i)  // durable, priority, ttl, ...
        if (i == 2 && pn_data_type(at) == PN_UINT)
            incoming.expiry_interval_s = seconds_left(pn_data_get_uint(at));
    pn_data_exit(at);
}

/// RabbitMQ 4 says there how the message was routed.
void MessageDecoder::take_annotations(Incoming& incoming) {
    pn_data_t* at = data_.get();
    if (pn_data_type(at) != PN_MAP) return;
    pn_data_enter(at);
    while (pn_data_next(at)) {
        const bool is_key =
            pn_data_type(at) == PN_SYMBOL && from_pn(pn_data_get_symbol(at)) == "x-routing-key";
        if (!pn_data_next(at)) break;
        if (is_key)
            if (auto text = scalar_text(at)) incoming.source = std::move(*text);
    }
    pn_data_exit(at);
}

void MessageDecoder::take_properties(Incoming& incoming, WallTime now) {
    pn_data_t* at = data_.get();
    if (pn_data_type(at) != PN_LIST) return;
    pn_data_enter(at);
    for (std::size_t i = 0; pn_data_next(at); ++i) {
        auto text = scalar_text(at);
        if (!text) continue;
        switch (i) {
            case Property::message_id:
                incoming.headers.emplace_back("message-id", std::move(*text));
                break;
            case Property::subject:
                subject_ = std::move(*text);
                break;
            case Property::reply_to:  // an address of the upstream's own need not be a topic
                if (wire::is_topic_name(*text)) {
                    incoming.response_topic = std::move(*text);
                } else {
                    incoming.headers.emplace_back("reply-to", std::move(*text));
                }
                break;
            case Property::correlation_id:
                incoming.correlation_data = std::move(*text);
                break;
            case Property::content_type:
                incoming.content_type = std::move(*text);
                break;
            case Property::absolute_expiry_time: {
                if (pn_data_type(at) != PN_TIMESTAMP || incoming.expiry_interval_s) break;
                const auto left = pn_data_get_timestamp(at) - now.time_since_epoch().count();
                incoming.expiry_interval_s = left > 0 ? seconds_left(static_cast<std::uint64_t>(left)) : 0;
                break;
            }
            case Property::group_id:
                incoming.headers.emplace_back("group-id", std::move(*text));
                break;
            default:
                break;
        }
    }
    pn_data_exit(at);
}

void MessageDecoder::take_application_properties(Incoming& incoming) {
    pn_data_t* at = data_.get();
    if (pn_data_type(at) != PN_MAP) return;
    pn_data_enter(at);
    while (pn_data_next(at)) {
        auto name = scalar_text(at);
        if (!pn_data_next(at)) break;
        auto text = scalar_text(at);
        if (name && text) take_application_property(std::move(*name), std::move(*text), incoming);
    }
    pn_data_exit(at);
}

void MessageDecoder::take_application_property(std::string name, std::string value, Incoming& incoming) {
    if (name == "mqtt.topic") {
        incoming.mqtt_topic = std::move(value);
    } else if (name == "sluice.origin") {
        incoming.origin = std::move(value);
    } else if (name == "mqtt.qos") {
        if (value == "0" || value == "1" || value == "2")
            incoming.qos = static_cast<wire::QoS>(value.front() - '0');
    } else if (name == "mqtt.retain") {
        incoming.retain = value == "true" || value == "1";
    } else if (name == "payload-format-indicator") {
        incoming.payload_is_text = value == "1";
    } else if (name == "content-type") {
        incoming.content_type = std::move(value);
    } else {
        incoming.headers.emplace_back(std::move(name), std::move(value));
    }
}

Result<void, std::string> MessageDecoder::take_value(Incoming& incoming) {
    const pn_type_t type = pn_data_type(data_.get());
    if (type == PN_NULL) return {};
    auto text = scalar_text(data_.get());
    if (!text)
        return Err{fmt::format("its body is a {}; expected data, or a string or number", pn_type_name(type))};
    incoming.payload = std::move(*text);
    if (type == PN_STRING) incoming.payload_is_text = true;
    return {};
}

}  // namespace sluice::bridge::amqp1
