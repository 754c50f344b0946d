#pragma once
/// Packets as JSON, {"publish": {"topic": "t", "qos": 1, ...}}, to bytes and back: written from the
/// specification for the tests alone, so that a mistake of broker/wire cannot hide on both sides of the wire.
#include <nlohmann/json.hpp>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace sluice::test {

using Json = nlohmann::json;

/// What a conversation expected and did not get, or a vector that is written wrongly.
struct Mismatch : std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum class PropertyType { byte, u16, u32, varint, text, binary, pair };

struct PropertyName {
    std::uint8_t id;
    const char* name;
    PropertyType type;
};

inline constexpr PropertyName property_names[] = {
    {0x01, "payload_format_indicator", PropertyType::byte},
    {0x02, "message_expiry_interval", PropertyType::u32},
    {0x03, "content_type", PropertyType::text},
    {0x08, "response_topic", PropertyType::text},
    {0x09, "correlation_data", PropertyType::binary},
    {0x0B, "subscription_identifier", PropertyType::varint},
    {0x11, "session_expiry_interval", PropertyType::u32},
    {0x12, "assigned_client_identifier", PropertyType::text},
    {0x13, "server_keep_alive", PropertyType::u16},
    {0x15, "authentication_method", PropertyType::text},
    {0x16, "authentication_data", PropertyType::binary},
    {0x17, "request_problem_information", PropertyType::byte},
    {0x18, "will_delay_interval", PropertyType::u32},
    {0x19, "request_response_information", PropertyType::byte},
    {0x1A, "response_information", PropertyType::text},
    {0x1C, "server_reference", PropertyType::text},
    {0x1F, "reason_string", PropertyType::text},
    {0x21, "receive_maximum", PropertyType::u16},
    {0x22, "topic_alias_maximum", PropertyType::u16},
    {0x23, "topic_alias", PropertyType::u16},
    {0x24, "maximum_qos", PropertyType::byte},
    {0x25, "retain_available", PropertyType::byte},
    {0x26, "user_property", PropertyType::pair},
    {0x27, "maximum_packet_size", PropertyType::u32},
    {0x28, "wildcard_subscription_available", PropertyType::byte},
    {0x29, "subscription_identifier_available", PropertyType::byte},
    {0x2A, "shared_subscription_available", PropertyType::byte},
};

/// The packet names by type number; index 0 is none.
inline constexpr std::string_view packet_names[] = {
    "",          "connect", "connack",     "publish",  "puback",  "pubrec",   "pubrel",     "pubcomp",
    "subscribe", "suback",  "unsubscribe", "unsuback", "pingreq", "pingresp", "disconnect", "auth"};

/// Bytes as the vectors say them: text, {"repeat": ["x", 1000]}, or {"hex": "00ff"}.
ByteBuffer data_of(const Json& value);

/// `packet` has one key, the packet's name. `level` is the connection's protocol level: 3, 4 or 5. Properties
/// are an object, or a list of [name, value] pairs where their order or repetition matters; a payload is
/// as data_of() takes it.
ByteBuffer encode_packet(int level, const Json& packet);

/// The packet at the front of `bytes`, and how long it is; nothing while it is incomplete. Throws Mismatch
/// when the bytes are not a packet that a server may send to a client of this `level`. Properties come as a
/// list of [name, value] pairs in the order of the wire.
std::optional<Json> decode_packet(int level, Bytes bytes, std::size_t& size);

}  // namespace sluice::test
