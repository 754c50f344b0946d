#include "bridge/dead_letter.hpp"

#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "wire/decode.hpp"
#include "wire/topic.hpp"

namespace sluice::bridge {
namespace {

constexpr std::string_view route_name = "sluice-dead-route", reason_name = "sluice-dead-reason",
                           time_name = "sluice-dead-time";
constexpr std::size_t reason_bytes_max = 1000;

/// MQTT5 2.2.2.2: a user property is its identifier and two strings with their lengths.
void append_user_property(ByteBuffer& out, std::string_view name, std::string_view value) {
    out.push_back(0x26);
    for (const std::string_view text : {name, value}) {
        out.push_back(static_cast<std::uint8_t>(text.size() >> 8));
        out.push_back(static_cast<std::uint8_t>(text.size()));
        out.insert(out.end(), text.begin(), text.end());
    }
}
constexpr std::size_t property_head_bytes = 3;  // before the name

/// What stands in a property must be UTF-8 without control characters.
std::string as_property(std::string_view text) {
    std::string out(text.substr(0, reason_bytes_max));
    if (wire::is_mqtt_utf8(out)) return out;
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
    return out;
}

core::Message::Fields fields_of(const core::Message& message) {
    return {.topic = message.topic(),
            .properties = message.properties(),
            .payload = message.payload(),
            .qos = message.qos(),
            .retain = message.retain(),
            .client_id = message.client_id(),
            .user_name = message.user_name(),
            .received = message.received(),
            .expiry_interval_s = message.expiry_interval_s()};
}

}  // namespace

core::MessagePtr bury(const core::Message& message, std::string_view route, std::string_view reason,
                      WallTime now) {
    const Bytes before = message.properties();
    ByteBuffer properties(before.begin(), before.end());
    append_user_property(properties, route_name, route);
    append_user_property(properties, reason_name, as_property(reason));
    append_user_property(properties, time_name, std::to_string(now.time_since_epoch().count()));
    auto fields = fields_of(message);
    fields.properties = properties;
    return core::Message::freeze(fields);
}

std::optional<Buried> look_at(const core::Message& dead) {
    const auto decoded = wire::decode_publish_properties(dead.properties());
    if (!decoded || decoded->user_properties.size() < 3) return std::nullopt;
    const auto* last = &decoded->user_properties[decoded->user_properties.size() - 3];
    if (last[0].name != route_name || last[1].name != reason_name || last[2].name != time_name)
        return std::nullopt;
    Buried buried{.route = last[0].value, .reason = last[1].value, .refused = {}, .properties = {}};
    std::int64_t ms = 0;
    const std::string_view time = last[2].value;
    if (std::from_chars(time.data(), time.data() + time.size(), ms).ec != std::errc{}) return std::nullopt;
    buried.refused = WallTime(Millis(ms));
    // Ours stand at the end.
    const auto* ours = reinterpret_cast<const std::uint8_t*>(last[0].name.data()) - property_head_bytes;
    const Bytes all = dead.properties();
    buried.properties = all.first(static_cast<std::size_t>(ours - all.data()));
    return buried;
}

core::MessagePtr dig_up(const core::Message& dead, const Buried& buried) {
    auto fields = fields_of(dead);
    fields.properties = buried.properties;
    return core::Message::freeze(fields);
}

shard::DeadLetter describe(core::RowId id, const core::Message& dead, const Buried& buried,
                           std::string_view bridge, bool whole) {
    shard::DeadLetter letter{.id = id,
                             .bridge = std::string(bridge),
                             .route = std::string(buried.route),
                             .reason = std::string(buried.reason),
                             .refused = buried.refused,
                             .received = dead.received(),
                             .topic = std::string(dead.topic()),
                             .client_id = std::string(dead.client_id()),
                             .user_name = std::string(dead.user_name()),
                             .qos = static_cast<std::uint8_t>(dead.qos()),
                             .retain = dead.retain(),
                             .payload_bytes = dead.payload().size(),
                             .payload = {},
                             .properties = {}};
    if (!whole) return letter;
    letter.payload = as_text(dead.payload());
    const auto properties = wire::decode_publish_properties(buried.properties);
    if (!properties) return letter;
    auto& list = letter.properties;
    if (properties->content_type) list.emplace_back("content-type", *properties->content_type);
    if (properties->response_topic) list.emplace_back("response-topic", *properties->response_topic);
    if (properties->correlation_data)
        list.emplace_back("correlation-data", as_text(*properties->correlation_data));
    for (const auto& property : properties->user_properties) list.emplace_back(property.name, property.value);
    return letter;
}

}  // namespace sluice::bridge
