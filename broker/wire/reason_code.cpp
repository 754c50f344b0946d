#include "wire/reason_code.hpp"

#include <array>

#include "wire/legal_codes.hpp"

namespace sluice::wire {
namespace {

using enum PacketType;
using enum ReasonCode;

template <class... Types>
constexpr unsigned in(Types... types) {
    return (0U | ... | (1U << static_cast<unsigned>(types)));
}

constexpr unsigned in_pub_answers = in(puback, pubrec);
constexpr unsigned in_rel_answers = in(pubrel, pubcomp);
constexpr unsigned in_sub_answers = in(suback, unsuback);
constexpr unsigned in_closing = in(connack, disconnect);

/// Table 2-6 of the specification, row by row.
struct Row {
    ReasonCode code;
    std::string_view name;
    unsigned packets;
};
constexpr Row rows[] = {
    {success, "success", in(connack, disconnect, auth) | in_pub_answers | in_rel_answers | in_sub_answers},
    {granted_qos_1, "granted QoS 1", in(suback)},
    {granted_qos_2, "granted QoS 2", in(suback)},
    {disconnect_with_will, "disconnect with will message", in(disconnect)},
    {no_matching_subscribers, "no matching subscribers", in_pub_answers},
    {no_subscription_existed, "no subscription existed", in(unsuback)},
    {continue_authentication, "continue authentication", in(auth)},
    {reauthenticate, "re-authenticate", in(auth)},
    {unspecified_error, "unspecified error", in_closing | in_pub_answers | in_sub_answers},
    {malformed_packet, "malformed packet", in_closing},
    {protocol_error, "protocol error", in_closing},
    {implementation_specific_error, "implementation specific error",
     in_closing | in_pub_answers | in_sub_answers},
    {unsupported_protocol_version, "unsupported protocol version", in(connack)},
    {client_identifier_not_valid, "client identifier not valid", in(connack)},
    {bad_user_name_or_password, "bad user name or password", in(connack)},
    {not_authorized, "not authorized", in_closing | in_pub_answers | in_sub_answers},
    {server_unavailable, "server unavailable", in(connack)},
    {server_busy, "server busy", in_closing},
    {banned, "banned", in(connack)},
    {server_shutting_down, "server shutting down", in(disconnect)},
    {bad_authentication_method, "bad authentication method", in_closing},
    {keep_alive_timeout, "keep alive timeout", in(disconnect)},
    {session_taken_over, "session taken over", in(disconnect)},
    {topic_filter_invalid, "topic filter invalid", in_sub_answers | in(disconnect)},
    {topic_name_invalid, "topic name invalid", in_closing | in_pub_answers},
    {packet_identifier_in_use, "packet identifier in use", in_pub_answers | in_sub_answers},
    {packet_identifier_not_found, "packet identifier not found", in_rel_answers},
    {receive_maximum_exceeded, "receive maximum exceeded", in(disconnect)},
    {topic_alias_invalid, "topic alias invalid", in(disconnect)},
    {packet_too_large, "packet too large", in_closing},
    {message_rate_too_high, "message rate too high", in(disconnect)},
    {quota_exceeded, "quota exceeded", in_closing | in_pub_answers | in(suback)},
    {administrative_action, "administrative action", in(disconnect)},
    {payload_format_invalid, "payload format invalid", in_closing | in_pub_answers},
    {retain_not_supported, "retain not supported", in_closing},
    {qos_not_supported, "QoS not supported", in_closing},
    {use_another_server, "use another server", in_closing},
    {server_moved, "server moved", in_closing},
    {shared_subscriptions_not_supported, "shared subscriptions not supported", in(suback, disconnect)},
    {connection_rate_exceeded, "connection rate exceeded", in_closing},
    {maximum_connect_time, "maximum connect time", in(disconnect)},
    {subscription_identifiers_not_supported, "subscription identifiers not supported",
     in(suback, disconnect)},
    {wildcard_subscriptions_not_supported, "wildcard subscriptions not supported", in(suback, disconnect)},
};

constexpr std::uint8_t no_row = 0xFF;
constexpr auto row_of_code = [] {
    std::array<std::uint8_t, 256> index{};
    index.fill(no_row);
    std::uint8_t at = 0;
    for (const Row& row : rows) index[static_cast<std::uint8_t>(row.code)] = at++;
    return index;
}();

}  // namespace

std::string_view name_of(ReasonCode code) {
    const std::uint8_t row = row_of_code[static_cast<std::uint8_t>(code)];
    return row == no_row ? "unknown reason code" : rows[row].name;
}

bool is_legal_code(PacketType type, std::uint8_t code) {
    const std::uint8_t row = row_of_code[code];
    return row != no_row && (rows[row].packets & in(type)) != 0;
}

}  // namespace sluice::wire
