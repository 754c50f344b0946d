#pragma once
/// The control packets as plain values. Text and bytes are borrowed views: of the input when decoded, of the
/// caller's data when encoded. [MQTT5 3, MQTT3.1.1 3]
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "wire/reason_code.hpp"

namespace sluice::wire {

/// The protocol version byte of CONNECT.
enum class Version : std::uint8_t { v3_1 = 3, v3_1_1 = 4, v5 = 5 };

enum class PacketType : std::uint8_t {
    connect = 1,
    connack = 2,
    publish = 3,
    puback = 4,
    pubrec = 5,
    pubrel = 6,
    pubcomp = 7,
    subscribe = 8,
    suback = 9,
    unsubscribe = 10,
    unsuback = 11,
    pingreq = 12,
    pingresp = 13,
    disconnect = 14,
    auth = 15,
};

enum class QoS : std::uint8_t { at_most_once = 0, at_least_once = 1, exactly_once = 2 };

using PacketId = std::uint16_t;  ///< 1 to 65535; 0 means none

struct UserProperty {
    std::string_view name, value;
};

/// All properties of MQTT 5 [MQTT5 2.2.2.2]; which packet may carry which is checked by the decoder. Absent
/// means not sent.
struct Properties {
    std::optional<std::uint8_t> payload_format_indicator;
    std::optional<std::uint32_t> message_expiry_interval_s;
    std::optional<std::string_view> content_type;
    std::optional<std::string_view> response_topic;
    std::optional<Bytes> correlation_data;
    std::vector<std::uint32_t>
        subscription_identifiers;  ///< SUBSCRIBE: at most one; PUBLISH to a client: any number
    std::optional<std::uint32_t> session_expiry_interval_s;
    std::optional<std::string_view> assigned_client_identifier;
    std::optional<std::uint16_t> server_keep_alive_s;
    std::optional<std::string_view> authentication_method;
    std::optional<Bytes> authentication_data;
    std::optional<bool> request_problem_information;
    std::optional<std::uint32_t> will_delay_interval_s;
    std::optional<bool> request_response_information;
    std::optional<std::string_view> response_information;
    std::optional<std::string_view> server_reference;
    std::optional<std::string_view> reason_string;
    std::optional<std::uint16_t> receive_maximum;
    std::optional<std::uint16_t> topic_alias_maximum;
    std::optional<std::uint16_t> topic_alias;
    std::optional<std::uint8_t> maximum_qos;
    std::optional<bool> retain_available;
    std::optional<std::uint32_t> maximum_packet_size;
    std::optional<bool> wildcard_subscription_available;
    std::optional<bool> subscription_identifier_available;
    std::optional<bool> shared_subscription_available;
    std::vector<UserProperty> user_properties;  ///< in the order received [MQTT-3.3.2-18]
};

struct Will {
    std::string_view topic;
    Bytes payload;
    QoS qos = QoS::at_most_once;
    bool retain = false;
    Properties properties;
};

struct Connect {
    Version version = Version::v5;
    bool clean_start = true;  ///< "clean session" before version 5
    std::uint16_t keep_alive_s = 0;
    std::string_view client_id;
    std::optional<std::string_view> user_name;
    std::optional<Bytes> password;
    std::optional<Will> will;
    Properties properties;
};

struct Connack {
    bool session_present = false;
    ReasonCode code = ReasonCode::success;
    Properties properties;
};

struct Publish {
    std::string_view topic;  ///< empty only with a topic alias
    Bytes payload;
    QoS qos = QoS::at_most_once;
    bool retain = false;
    bool dup = false;
    PacketId packet_id = 0;  ///< 0 at QoS 0
    Properties properties;
    /// The property bytes as received, without topic alias, subscription identifiers and expiry: what is
    /// forwarded unaltered [MQTT-3.3.2-4, -15, -16, -17, -20]. The decoder fills it; borrowed from the input
    /// when nothing had to be left out, else from the `scratch` buffer of the call.
    Bytes forward_properties;
};

/// PUBACK, PUBREC, PUBREL and PUBCOMP have the same form.
struct Ack {
    PacketId packet_id = 0;
    ReasonCode code = ReasonCode::success;
    Properties properties;
};

enum class RetainHandling : std::uint8_t { send = 0, send_if_new = 1, do_not_send = 2 };

struct SubscribeEntry {
    std::string_view filter;
    QoS qos = QoS::at_most_once;
    bool no_local = false;
    bool retain_as_published = false;
    RetainHandling retain_handling = RetainHandling::send;
};

struct Subscribe {
    PacketId packet_id = 0;
    std::vector<SubscribeEntry> entries;
    Properties properties;
};

struct Suback {
    PacketId packet_id = 0;
    std::vector<ReasonCode> codes;
    Properties properties;
};

struct Unsubscribe {
    PacketId packet_id = 0;
    std::vector<std::string_view> filters;
    Properties properties;
};

struct Unsuback {
    PacketId packet_id = 0;
    std::vector<ReasonCode> codes;  ///< not sent before version 5
    Properties properties;
};

struct Disconnect {
    ReasonCode code = ReasonCode::success;
    Properties properties;
};

struct Auth {
    ReasonCode code = ReasonCode::success;
    Properties properties;
};

}  // namespace sluice::wire
