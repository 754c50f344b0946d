#include <algorithm>

#include "packet.hpp"
#include "tests/support/hex.hpp"

namespace sluice::test {
namespace {

void put_u8(ByteBuffer& out, std::uint64_t value) {
    out.push_back(static_cast<std::uint8_t>(value));
}
void put_u16(ByteBuffer& out, std::uint64_t value) {
    put_u8(out, value >> 8 & 0xFF);
    put_u8(out, value & 0xFF);
}
void put_u32(ByteBuffer& out, std::uint64_t value) {
    put_u16(out, value >> 16);
    put_u16(out, value & 0xFFFF);
}
void put_varint(ByteBuffer& out, std::uint64_t value) {
    do {
        put_u8(out, (value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        value >>= 7;
    } while (value != 0);
}

void put_data(ByteBuffer& out, const Json& value) {
    const ByteBuffer data = data_of(value);
    put_u16(out, data.size());
    append(out, data);
}

void put_property(ByteBuffer& out, const std::string& name, const Json& value) {
    const auto* row = std::find_if(std::begin(property_names), std::end(property_names),
                                   [&](const PropertyName& one) { return one.name == name; });
    if (row == std::end(property_names)) throw Mismatch("vector: no property is named " + name);
    put_u8(out, row->id);
    switch (row->type) {
        case PropertyType::byte:
            return put_u8(out, value);
        case PropertyType::u16:
            return put_u16(out, value);
        case PropertyType::u32:
            return put_u32(out, value);
        case PropertyType::varint:
            return put_varint(out, value);
        case PropertyType::text:
        case PropertyType::binary:
            return put_data(out, value);
        case PropertyType::pair:
            put_data(out, value.at(0));
            put_data(out, value.at(1));
    }
}

void put_properties(ByteBuffer& out, int level, const Json& owner) {
    if (level < 5) return;
    ByteBuffer run;
    const Json properties = owner.value("properties", Json::array());
    for (const auto& [key, value] : properties.items()) {
        if (properties.is_array()) {
            put_property(run, value.at(0), value.at(1));
        } else {
            put_property(run, key, value);
        }
    }
    put_varint(out, run.size());
    append(out, run);
}

unsigned bit(const Json& owner, const char* name, unsigned shift) {
    const Json value = owner.value(name, Json(0));
    const bool set = value.is_boolean() ? value.get<bool>() : value.get<int>() != 0;
    return set ? 1U << shift : 0U;
}

ByteBuffer connect_body(const Json& p) {
    const int level = p.value("level", 5);
    ByteBuffer out;
    put_data(out, p.value("protocol", level == 3 ? "MQIsdp" : "MQTT"));
    put_u8(out, static_cast<unsigned>(p.value("level_byte", level)));
    const Json will = p.value("will", Json());
    unsigned flags = p.value("clean", true) ? 2U : 0U;
    if (!will.is_null()) flags |= 4U | will.value("qos", 0U) << 3 | bit(will, "retain", 5);
    if (p.contains("password")) flags |= 0x40U;
    if (p.contains("user")) flags |= 0x80U;
    put_u8(out, p.value("flags", flags));
    put_u16(out, p.value("keep_alive", 0U));
    put_properties(out, level, p);
    put_data(out, p.value("id", Json("")));
    if (!will.is_null()) {
        put_properties(out, level, will);
        put_data(out, will.at("topic"));
        put_data(out, will.value("payload", Json("")));
    }
    if (p.contains("user")) put_data(out, p.at("user"));
    if (p.contains("password")) put_data(out, p.at("password"));
    return out;
}

ByteBuffer publish_body(int level, const Json& p) {
    ByteBuffer out;
    put_data(out, p.at("topic"));
    if (p.value("qos", 0) > 0) put_u16(out, p.at("id"));
    put_properties(out, level, p);
    append(out, data_of(p.value("payload", Json(""))));
    return out;
}

ByteBuffer subscribe_body(int level, const Json& p, bool with_options) {
    ByteBuffer out;
    put_u16(out, p.value("id", 1U));
    put_properties(out, level, p);
    for (const Json& filter : p.at("filters")) {
        put_data(out, with_options ? filter.at(0) : filter);
        if (!with_options) continue;
        const Json& options = filter.at(1);
        put_u8(out, options.is_number() ? options.get<unsigned>()
                                        : options.value("qos", 0U) | bit(options, "no_local", 2) |
                                              bit(options, "retain_as_published", 3) |
                                              options.value("retain_handling", 0U) << 4);
    }
    return out;
}

/// PUBACK and its kin, DISCONNECT, AUTH: what may be left out is left out.
ByteBuffer coded_body(int level, const Json& p, bool with_id) {
    ByteBuffer out;
    if (with_id) put_u16(out, p.at("id"));
    if (level == 5 && (p.contains("code") || p.contains("properties"))) put_u8(out, p.value("code", 0U));
    if (level == 5 && p.contains("properties")) put_properties(out, level, p);
    return out;
}

}  // namespace

ByteBuffer data_of(const Json& value) {
    ByteBuffer out;
    if (value.is_string()) {
        append(out, as_bytes(value.get_ref<const std::string&>()));
    } else if (value.contains("hex")) {
        out = hex(value.at("hex").get<std::string>());
    } else {
        const ByteBuffer unit = data_of(value.at("repeat").at(0));
        for (int i = value.at("repeat").at(1); i > 0; --i) append(out, unit);
    }
    return out;
}

ByteBuffer encode_packet(int level, const Json& packet) {
    if (packet.size() != 1) throw Mismatch("vector: a packet has one name: " + packet.dump());
    const std::string name = packet.begin().key();
    const Json& p = packet.begin().value();
    const auto* at = std::find(std::begin(packet_names), std::end(packet_names), name);
    const auto type = static_cast<unsigned>(at - std::begin(packet_names));
    unsigned flags = name == "pubrel" || name == "subscribe" || name == "unsubscribe" ? 2 : 0;
    ByteBuffer body;
    if (name == "connect") {
        body = connect_body(p);
    } else if (name == "publish") {
        flags = bit(p, "dup", 3) | p.value("qos", 0U) << 1 | bit(p, "retain", 0);
        body = publish_body(level, p);
    } else if (name == "subscribe" || name == "unsubscribe") {
        body = subscribe_body(level, p, name == "subscribe");
    } else if (name == "puback" || name == "pubrec" || name == "pubrel" || name == "pubcomp") {
        body = coded_body(level, p, true);
    } else if (name == "disconnect" || name == "auth") {
        body = coded_body(level, p, false);
    } else if (name != "pingreq") {
        throw Mismatch("vector: a client does not send " + name + "; write it as hex");
    }
    ByteBuffer out;
    put_u8(out, type << 4 | flags);
    put_varint(out, body.size());
    append(out, body);
    return out;
}

}  // namespace sluice::test
