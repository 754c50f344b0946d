#include <algorithm>

#include "packet.hpp"

namespace sluice::test {
namespace {

/// Reads fields from the front; reading past the end is a Mismatch.
class Fields {
  public:
    explicit Fields(Bytes rest) : rest_(rest) {}
    bool at_end() const { return rest_.empty(); }

    Bytes take(std::size_t count) {
        if (count > rest_.size()) throw Mismatch("the server's packet is cut short");
        const Bytes taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }
    std::uint32_t number(std::size_t bytes) {
        std::uint32_t value = 0;
        for (const std::uint8_t byte : take(bytes)) value = value << 8 | byte;
        return value;
    }
    std::uint32_t varint() {
        std::uint32_t value = 0;
        for (unsigned shift = 0; shift < 28; shift += 7) {
            const std::uint32_t byte = number(1);
            value |= (byte & 0x7F) << shift;
            if (byte < 0x80) return value;
        }
        throw Mismatch("the server sent a variable byte integer of more than four bytes");
    }
    std::string text() { return std::string(as_text(take(number(2)))); }
    std::string all() { return std::string(as_text(take(rest_.size()))); }

  private:
    Bytes rest_;
};

Json property_value(Fields& in, PropertyType type) {
    switch (type) {
        case PropertyType::byte:
            return in.number(1);
        case PropertyType::u16:
            return in.number(2);
        case PropertyType::u32:
            return in.number(4);
        case PropertyType::varint:
            return in.varint();
        case PropertyType::text:
        case PropertyType::binary:
            return in.text();
        case PropertyType::pair:
            break;
    }
    Json pair = Json::array();
    pair.push_back(in.text());
    pair.push_back(in.text());
    return pair;
}

Json properties_of(int level, Fields& in) {
    Json list = Json::array();
    if (level < 5) return list;
    Fields run(in.take(in.varint()));
    while (!run.at_end()) {
        const std::uint32_t id = run.number(1);
        const auto* row = std::find_if(std::begin(property_names), std::end(property_names),
                                       [&](const PropertyName& one) { return one.id == id; });
        if (row == std::end(property_names)) throw Mismatch("the server sent an unknown property");
        list.push_back(Json::array({row->name, property_value(run, row->type)}));
    }
    return list;
}

Json codes_of(Fields& in) {
    Json codes = Json::array();
    while (!in.at_end()) codes.push_back(in.number(1));
    return codes;
}

Json connack_of(int level, Fields& in) {
    Json p;
    const std::uint32_t flags = in.number(1);
    if (flags > 1) throw Mismatch("CONNACK: reserved flags");
    p["present"] = flags;
    p["code"] = in.number(1);
    p["properties"] = properties_of(level, in);
    return p;
}

Json publish_of(int level, unsigned flags, Fields& in) {
    Json p;
    const unsigned qos = flags >> 1 & 3;
    p["dup"] = flags >> 3;
    p["qos"] = qos;
    p["retain"] = flags & 1;
    p["topic"] = in.text();
    if (qos > 0) p["id"] = in.number(2);
    p["properties"] = properties_of(level, in);
    p["payload"] = in.all();
    return p;
}

Json coded_of(int level, bool with_id, Fields& in) {
    Json p;
    if (with_id) p["id"] = in.number(2);
    p["code"] = level == 5 && !in.at_end() ? in.number(1) : 0;
    p["properties"] = level == 5 && !in.at_end() ? properties_of(level, in) : Json::array();
    return p;
}

Json body_of(int level, std::string_view name, unsigned flags, Fields& in) {
    if (name == "publish") return publish_of(level, flags, in);
    if (flags != (name == "pubrel" ? 2U : 0U)) throw Mismatch("the server sent reserved flags");
    if (name == "connack") return connack_of(level, in);
    if (name == "pingresp") return Json::object();
    if (name == "suback" || name == "unsuback") {
        Json p;
        p["id"] = in.number(2);
        p["properties"] = properties_of(level, in);
        p["codes"] = level < 5 && name == "unsuback" ? Json::array() : codes_of(in);
        return p;
    }
    if (name == "puback" || name == "pubrec" || name == "pubrel" || name == "pubcomp")
        return coded_of(level, true, in);
    if (level == 5 && (name == "disconnect" || name == "auth")) return coded_of(level, false, in);
    throw Mismatch("the server sent " + std::string(name));
}

}  // namespace

std::optional<Json> decode_packet(int level, Bytes bytes, std::size_t& size) {
    std::size_t length = 0, at = 1;
    for (unsigned shift = 0;; shift += 7) {
        if (at >= bytes.size()) return std::nullopt;
        if (shift == 28) throw Mismatch("the server sent a remaining length of more than four bytes");
        const std::uint8_t byte = bytes[at++];
        length |= static_cast<std::size_t>(byte & 0x7F) << shift;
        if (byte < 0x80) break;
    }
    if (bytes.size() - at < length) return std::nullopt;
    size = at + length;
    Fields in(bytes.subspan(at, length));
    const std::string name(packet_names[bytes[0] >> 4]);
    Json packet;
    packet[name] = body_of(level, name, bytes[0] & 0x0F, in);
    if (!in.at_end()) throw Mismatch("the server's " + name + " has bytes behind its end");
    return packet;
}

}  // namespace sluice::test
