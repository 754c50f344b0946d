#include "wire/properties.hpp"

#include <array>
#include <type_traits>

#include "wire/encode.hpp"
#include "wire/writer.hpp"

namespace sluice::wire {
namespace {

struct Row {
    std::uint8_t id;
    std::uint16_t places;  ///< bit n: allowed in packet type n; bit 0: in a will
    const char* malformed;
    const char* misplaced;
    const char* repeated;
    const char* bad_value;
    void (*read)(Reader& in, const Row& row, PropertyPlace place, Properties& properties);
    void (*write)(ByteBuffer& out, std::uint8_t id, const Properties& properties);
};

/// What a number may be, beyond its width.
enum class Range : std::uint8_t { any, not_zero };

template <class T>
struct ValueOf;
template <class T>
struct ValueOf<std::optional<T> Properties::*> {
    using Type = T;
};

template <class T>
T read_value(Reader& in, const Row& row) {
    if constexpr (std::is_same_v<T, std::string_view>) {
        return in.text(row.malformed);
    } else if constexpr (std::is_same_v<T, Bytes>) {
        return in.binary(row.malformed);
    } else if constexpr (std::is_same_v<T, std::uint32_t>) {
        return in.u32(row.malformed);
    } else if constexpr (std::is_same_v<T, std::uint16_t>) {
        return in.u16(row.malformed);
    } else {
        // Every one-byte property of MQTT 5 is a yes or no.
        const std::uint8_t value = in.u8(row.malformed);
        if (value > 1) in.protocol_error(row.bad_value);
        return static_cast<T>(value);
    }
}

template <auto Member, Range range, ReasonCode when_zero>
void read_one(Reader& in, const Row& row, PropertyPlace, Properties& properties) {
    auto& slot = properties.*Member;
    if (slot) return in.protocol_error(row.repeated);
    slot = read_value<typename ValueOf<decltype(Member)>::Type>(in, row);
    if constexpr (range == Range::not_zero) {
        if (*slot == 0) in.fail(when_zero, row.bad_value);
    }
}

template <auto Member>
void write_one(ByteBuffer& out, std::uint8_t id, const Properties& properties) {
    const auto& slot = properties.*Member;
    if (!slot) return;
    using T = typename ValueOf<decltype(Member)>::Type;
    out.push_back(id);
    if constexpr (std::is_same_v<T, std::string_view>) {
        append_text(out, *slot);
    } else if constexpr (std::is_same_v<T, Bytes>) {
        append_binary(out, *slot);
    } else if constexpr (std::is_same_v<T, std::uint32_t>) {
        append_u32(out, *slot);
    } else if constexpr (std::is_same_v<T, std::uint16_t>) {
        append_u16(out, *slot);
    } else {
        out.push_back(static_cast<std::uint8_t>(*slot));
    }
}

void read_response_topic(Reader& in, const Row& row, PropertyPlace, Properties& properties) {
    if (properties.response_topic) return in.protocol_error(row.repeated);
    const std::string_view topic = in.text(row.malformed);
    if (in.ok() && !is_topic_name(topic)) in.protocol_error(row.bad_value);  // [MQTT-3.3.2-14]
    properties.response_topic = topic;
}

void read_subscription_identifier(Reader& in, const Row& row, PropertyPlace place, Properties& properties) {
    auto& ids = properties.subscription_identifiers;
    // A PUBLISH may match several subscriptions [MQTT-3.3.4-4]; a SUBSCRIBE has one identifier for all of it.
    if (place == place_of(PacketType::subscribe) && !ids.empty()) return in.protocol_error(row.repeated);
    const std::uint32_t id = in.varint(row.malformed);
    if (in.ok() && id == 0) in.protocol_error(row.bad_value);
    if (in.ok()) ids.push_back(id);
}
void write_subscription_identifiers(ByteBuffer& out, std::uint8_t id, const Properties& properties) {
    for (const std::uint32_t value : properties.subscription_identifiers) {
        out.push_back(id);
        append_varint(out, value);
    }
}

void read_user_property(Reader& in, const Row& row, PropertyPlace, Properties& properties) {
    const std::string_view name = in.text(row.malformed);
    const std::string_view value = in.text(row.malformed);
    if (in.ok()) properties.user_properties.push_back({name, value});  // in order [MQTT-3.3.2-18]
}
void write_user_properties(ByteBuffer& out, std::uint8_t id, const Properties& properties) {
    for (const UserProperty& property : properties.user_properties) {
        out.push_back(id);
        append_text(out, property.name);
        append_text(out, property.value);
    }
}

template <class... Types>
constexpr std::uint16_t in_packets(Types... types) {
    return static_cast<std::uint16_t>((0U | ... | (1U << static_cast<unsigned>(types))));
}

using enum PacketType;
constexpr std::uint16_t in_will = 1;
constexpr std::uint16_t in_message = in_packets(publish) | in_will;
constexpr std::uint16_t in_connection = in_packets(connect, connack);
constexpr std::uint16_t in_authentication = in_packets(connect, connack, auth);
constexpr std::uint16_t in_answers =
    in_packets(connack, puback, pubrec, pubrel, pubcomp, suback, unsuback, disconnect, auth);
constexpr std::uint16_t in_all = in_answers | in_message | in_packets(connect, subscribe, unsubscribe);

// The words must be literals (WireError keeps a pointer), hence macros.
#define SLUICE_WORDS(name)                                                                \
    "property " name " is malformed", "property " name " does not belong in this packet", \
        "property " name " is repeated", "property " name " has a value that is not allowed"
#define SLUICE_ROW(id, places, name, member) \
    SLUICE_RANGED(id, places, name, member, Range::any, ReasonCode::success)
#define SLUICE_RANGED(id, places, name, member, range, when_zero)                         \
    Row {                                                                                 \
        id, places, SLUICE_WORDS(name), &read_one<&Properties::member, range, when_zero>, \
            &write_one<&Properties::member>                                               \
    }

constexpr auto protocol = ReasonCode::protocol_error;
constexpr Row rows[] = {
    SLUICE_ROW(0x01, in_message, "payload format indicator", payload_format_indicator),
    SLUICE_ROW(0x02, in_message, "message expiry interval", message_expiry_interval_s),
    SLUICE_ROW(0x03, in_message, "content type", content_type),                  // [MQTT-3.3.2-19]
    Row{0x08, in_message, SLUICE_WORDS("response topic"), &read_response_topic,  // [MQTT-3.3.2-13]
        &write_one<&Properties::response_topic>},
    SLUICE_ROW(0x09, in_message, "correlation data", correlation_data),
    Row{0x0B, in_packets(publish, subscribe), SLUICE_WORDS("subscription identifier"),
        &read_subscription_identifier, &write_subscription_identifiers},
    SLUICE_ROW(0x11, in_packets(connect, connack, disconnect), "session expiry interval",
               session_expiry_interval_s),
    SLUICE_ROW(0x12, in_packets(connack), "assigned client identifier", assigned_client_identifier),
    SLUICE_ROW(0x13, in_packets(connack), "server keep alive", server_keep_alive_s),
    SLUICE_ROW(0x15, in_authentication, "authentication method", authentication_method),
    SLUICE_ROW(0x16, in_authentication, "authentication data", authentication_data),
    SLUICE_ROW(0x17, in_packets(connect), "request problem information", request_problem_information),
    SLUICE_ROW(0x18, in_will, "will delay interval", will_delay_interval_s),
    SLUICE_ROW(0x19, in_packets(connect), "request response information", request_response_information),
    SLUICE_ROW(0x1A, in_packets(connack), "response information", response_information),
    SLUICE_ROW(0x1C, in_packets(connack, disconnect), "server reference", server_reference),
    SLUICE_ROW(0x1F, in_answers, "reason string", reason_string),
    SLUICE_RANGED(0x21, in_connection, "receive maximum", receive_maximum, Range::not_zero, protocol),
    SLUICE_ROW(0x22, in_connection, "topic alias maximum", topic_alias_maximum),
    SLUICE_RANGED(0x23, in_packets(publish), "topic alias", topic_alias, Range::not_zero,
                  ReasonCode::topic_alias_invalid),  // [MQTT-3.3.2-8]
    SLUICE_ROW(0x24, in_packets(connack), "maximum QoS", maximum_qos),
    SLUICE_ROW(0x25, in_packets(connack), "retain available", retain_available),
    Row{0x26, in_all, SLUICE_WORDS("user property"), &read_user_property, &write_user_properties},
    SLUICE_RANGED(0x27, in_connection, "maximum packet size", maximum_packet_size, Range::not_zero, protocol),
    SLUICE_ROW(0x28, in_packets(connack), "wildcard subscription available", wildcard_subscription_available),
    SLUICE_ROW(0x29, in_packets(connack), "subscription identifier available",
               subscription_identifier_available),
    SLUICE_ROW(0x2A, in_packets(connack), "shared subscription available", shared_subscription_available),
};
#undef SLUICE_ROW
#undef SLUICE_RANGED
#undef SLUICE_WORDS

constexpr std::size_t id_limit = 0x2B;
constexpr std::uint8_t no_row = 0xFF;
constexpr auto row_of_id = [] {
    std::array<std::uint8_t, id_limit> index{};
    index.fill(no_row);
    std::uint8_t at = 0;
    for (const Row& row : rows) index[row.id] = at++;
    return index;
}();

/// Those of a PUBLISH that each receiver gets anew: expiry, subscription identifier, alias.
constexpr bool is_per_receiver(std::uint8_t id) {
    return id == 0x02 || id == 0x0B || id == 0x23;
}

}  // namespace

std::uint8_t read_property(Reader& in, PropertyPlace place, Properties& properties) {
    const std::uint32_t id = in.varint("property identifier is malformed");
    if (!in.ok()) return 0;
    if (id >= id_limit || row_of_id[id] == no_row) {
        in.malformed("property identifier is unknown");
        return 0;
    }
    const Row& row = rows[row_of_id[id]];
    if ((row.places >> static_cast<unsigned>(place) & 1U) == 0) {
        in.malformed(row.misplaced);
        return 0;
    }
    row.read(in, row, place, properties);
    return row.id;
}

void read_properties(Reader& in, Version version, PropertyPlace place, Properties& properties) {
    if (version < Version::v5) return;
    const std::uint32_t length = in.varint("property length is malformed");  // [MQTT-2.2.2-1]
    Reader run(in.take(length, "property length goes past the end of the packet"));
    while (!run.at_end()) read_property(run, place, properties);
    if (!run.ok()) in.fail(run.error().code, run.error().what);
}

void read_publish_properties(Reader& in, Publish& packet, ByteBuffer& scratch) {
    const std::uint32_t length = in.varint("PUBLISH: property length is malformed");  // [MQTT-2.2.2-1]
    const Bytes all = in.take(length, "PUBLISH: property length goes past the end of the packet");
    // What is kept is one run in nearly every packet and is then borrowed; a second run moves it to scratch.
    const std::uint8_t* begin = all.data();
    const std::uint8_t* end = begin;
    Reader run(all);
    while (!run.at_end()) {
        const std::uint8_t* const from = run.rest().data();
        const std::uint8_t id = read_property(run, place_of(PacketType::publish), packet.properties);
        if (!run.ok()) return in.fail(run.error().code, run.error().what);
        if (is_per_receiver(id)) continue;
        const std::uint8_t* const to = all.data() + all.size() - run.rest().size();
        if (!scratch.empty()) {
            scratch.insert(scratch.end(), from, to);
        } else if (begin == end) {
            begin = from;
            end = to;
        } else if (from == end) {
            end = to;
        } else {
            scratch.assign(begin, end);
            scratch.insert(scratch.end(), from, to);
        }
    }
    // [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-20]
    packet.forward_properties = scratch.empty() ? Bytes(begin, end) : Bytes(scratch);
}

void encode_property_run(ByteBuffer& out, const Properties& properties) {
    for (const Row& row : rows) row.write(out, row.id, properties);
}

}  // namespace sluice::wire
