#include "wire/decode.hpp"
#include "wire/properties.hpp"
#include "wire/reader.hpp"

namespace sluice::wire {
namespace {

/// The flags byte of CONNECT [MQTT5 3.1.2.3].
struct Flags {
    std::uint8_t bits;
    bool reserved() const { return bits & 0x01; }
    bool clean_start() const { return bits & 0x02; }
    bool will() const { return bits & 0x04; }
    std::uint8_t will_qos() const { return bits >> 3 & 3; }
    bool will_retain() const { return bits & 0x20; }
    bool password() const { return bits & 0x40; }
    bool user_name() const { return bits & 0x80; }
};

/// Protocol name and version byte; nothing else may be judged when they are not ours.
void read_version(Reader& in, Connect& packet) {
    const std::string_view name = in.text("CONNECT: protocol name");
    const std::uint8_t level = in.u8("CONNECT: protocol version");
    if (!in.ok()) return;
    if (name != "MQTT" && name != "MQIsdp") {  // [MQTT-3.1.2-1]
        return in.protocol_error("CONNECT: protocol name is neither MQTT nor MQIsdp");
    }
    // Mosquitto's bridges first try a level with the highest bit set, which asks for rules of their own; told
    // no, they come again without.
    const auto version = static_cast<Version>(level);
    packet.version = version;
    const bool is_3_1 = name == "MQIsdp" && version == Version::v3_1;
    const bool is_3_1_1 = name == "MQTT" && version == Version::v3_1_1;
    const bool is_5 = name == "MQTT" && version == Version::v5;
    if (!is_3_1 && !is_3_1_1 && !is_5) {  // [MQTT-3.1.2-2]
        in.fail(ReasonCode::unsupported_protocol_version, "CONNECT: protocol version is not supported");
    }
}

void judge_flags(Reader& in, Version version, Flags flags) {
    // MQTT 3.1 says nothing of the reserved bit.
    if (version > Version::v3_1)
        in.require(!flags.reserved(), "CONNECT: reserved flag is set");  // [MQTT-3.1.2-3]
    if (flags.will()) {
        in.require(flags.will_qos() != 3, "CONNECT: will QoS is 3");  // [MQTT-3.1.2-12]
    } else {
        in.require(flags.will_qos() == 0, "CONNECT: will QoS without a will");    // [MQTT-3.1.2-11]
        in.require(!flags.will_retain(), "CONNECT: will retain without a will");  // [MQTT-3.1.2-13]
    }
    // [MQTT-3.1.2-22] of MQTT 3.1.1; version 5 lifts it.
    const bool password_alone = flags.password() && !flags.user_name();
    in.require(version == Version::v5 || !password_alone, "CONNECT: password without a user name");
}

void read_client_id(Reader& in, Connect& packet) {
    packet.client_id = in.text("CONNECT: client identifier");  // [MQTT-3.1.3-3], [MQTT-3.1.3-4]
    if (!in.ok() || !packet.client_id.empty() || packet.version == Version::v5) return;
    // MQTT 3.1 wants one to 23 characters; 3.1.1 lets the server choose for a clean session only
    // [MQTT-3.1.3-8 of MQTT 3.1.1]. Longer ones are taken in every version [MQTT-3.1.3-5].
    if (packet.version == Version::v3_1 || !packet.clean_start) {
        in.fail(ReasonCode::client_identifier_not_valid, "CONNECT: client identifier is empty");
    }
}

void read_will(Reader& in, Version version, Flags flags, Will& will) {
    read_properties(in, version, PropertyPlace::will, will.properties);
    will.topic = in.text("CONNECT: will topic");                                       // [MQTT-3.1.3-11]
    in.require(is_topic_name(will.topic), "CONNECT: will topic is not a topic name");  // [MQTT-4.7.0-1]
    will.payload = in.binary("CONNECT: will payload");
    will.qos = static_cast<QoS>(flags.will_qos());
    will.retain = flags.will_retain();
}

void read_credentials(Reader& in, Flags flags, Connect& packet) {
    // MQTT 3.1: the remaining length takes precedence over the flags, the fields may be missing.
    const bool may_miss = packet.version == Version::v3_1;
    if (flags.user_name() && !(may_miss && in.at_end())) {  // [MQTT-3.1.2-16], [MQTT-3.1.2-17]
        packet.user_name = in.text("CONNECT: user name");   // [MQTT-3.1.3-12]
    }
    if (flags.password() && !(may_miss && in.at_end())) {  // [MQTT-3.1.2-18], [MQTT-3.1.2-19]
        packet.password = in.binary("CONNECT: password");
    }
}

}  // namespace

Result<Connect, WireError> decode_connect(Bytes body) {
    return decode_with<Connect>(body, "CONNECT: bytes behind its end", [](Reader& in, Connect& packet) {
        read_version(in, packet);
        const Flags flags{in.u8("CONNECT: flags")};
        if (!in.ok()) return;
        judge_flags(in, packet.version, flags);
        packet.clean_start = flags.clean_start();
        packet.keep_alive_s = in.u16("CONNECT: keep alive");
        read_properties(in, packet.version, place_of(PacketType::connect), packet.properties);
        if (packet.properties.authentication_data && !packet.properties.authentication_method) {
            in.protocol_error("CONNECT: authentication data without a method");
        }
        read_client_id(in, packet);  // the order of the payload [MQTT-3.1.3-1]
        if (flags.will()) read_will(in, packet.version, flags, packet.will.emplace());  // [MQTT-3.1.2-9]
        read_credentials(in, flags, packet);
    });
}

std::optional<Version> peek_version(Bytes body) {
    Connect packet;
    Reader in(body);
    read_version(in, packet);
    return in.ok() ? std::optional(packet.version) : std::nullopt;
}

}  // namespace sluice::wire
