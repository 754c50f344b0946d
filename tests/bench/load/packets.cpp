#include "packets.hpp"

#include <cstring>
#include <stdexcept>

namespace bench {
namespace {

void put_u16(std::string& out, std::size_t value) {
    out += static_cast<char>(value >> 8);
    out += static_cast<char>(value & 0xFF);
}

std::uint16_t get_u16(std::string_view bytes) {
    return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[0]) << 8 |
                                      static_cast<unsigned char>(bytes[1]));
}

void put_text(std::string& out, std::string_view text) {
    put_u16(out, text.size());
    out += text;
}

std::string with_header(std::uint8_t first, std::string_view body) {
    std::string out(1, static_cast<char>(first));
    std::size_t length = body.size();
    do {
        const auto digit = static_cast<std::uint8_t>(length % 128);
        length /= 128;
        out += static_cast<char>(digit | (length > 0 ? 0x80U : 0U));
    } while (length > 0);
    return out.append(body);
}

}  // namespace

std::string connect_packet(std::string_view client_id, bool clean_session) {
    constexpr std::size_t keep_alive_s = 600;
    std::string body;
    put_text(body, "MQTT");
    body += '\x04';
    body += clean_session ? '\x02' : '\x00';
    put_u16(body, keep_alive_s);
    put_text(body, client_id);
    return with_header(0x10, body);
}

std::string subscribe_packet(std::span<const std::string> filters, std::uint8_t qos) {
    std::string body;
    put_u16(body, 1);
    for (const std::string& filter : filters) {
        put_text(body, filter);
        body += static_cast<char>(qos);
    }
    return with_header(0x82, body);
}

std::string ping_packet() {
    return with_header(0xC0, {});
}

std::string disconnect_packet() {
    return with_header(0xE0, {});
}

PublishTemplate::PublishTemplate(std::string_view topic, std::uint8_t qos, bool retain,
                                 std::size_t payload_bytes, std::uint32_t publisher)
    : stamp_{.publisher = publisher, .sequence = 0, .sent_ns = 0} {
    std::string body;
    put_text(body, topic);
    const std::size_t id_in_body = body.size();
    if (qos > 0) put_u16(body, 0);
    const std::size_t stamp_in_body = body.size();
    body.resize(body.size() + payload_bytes, 'x');
    bytes_ = with_header(static_cast<std::uint8_t>(publish | qos << 1 | (retain ? 1 : 0)), body);
    const std::size_t header = bytes_.size() - body.size();
    if (qos > 0) id_at_ = header + id_in_body;
    stamp_at_ = header + stamp_in_body;
}

void PublishTemplate::append_to(std::vector<char>& out, std::uint16_t packet_id, std::uint32_t sequence,
                                std::uint64_t now_ns) {
    if (id_at_ != 0) {
        bytes_[id_at_] = static_cast<char>(packet_id >> 8);
        bytes_[id_at_ + 1] = static_cast<char>(packet_id & 0xFF);
    }
    stamp_.sequence = sequence;
    stamp_.sent_ns = now_ns;
    std::memcpy(bytes_.data() + stamp_at_, &stamp_, sizeof stamp_);
    out.insert(out.end(), bytes_.begin(), bytes_.end());
}

Packet parse_packet(std::string_view bytes) {
    std::size_t length = 0;
    for (std::size_t at = 1; at < bytes.size() && at <= 4; ++at) {
        const auto digit = static_cast<unsigned char>(bytes[at]);
        length |= static_cast<std::size_t>(digit & 0x7F) << (7 * (at - 1));
        if (digit & 0x80) continue;
        if (bytes.size() < at + 1 + length) return {};
        return {static_cast<std::uint8_t>(bytes[0]), bytes.substr(at + 1, length), at + 1 + length};
    }
    if (bytes.size() > 4) throw std::runtime_error("the broker sent a packet with an impossible length");
    return {};
}

PublishView parse_publish(const Packet& packet) {
    PublishView view;
    view.qos = packet.first >> 1 & 3;
    const std::size_t id_bytes = view.qos > 0 ? 2 : 0;
    const std::size_t topic_bytes = packet.body.size() < 2 ? 0 : get_u16(packet.body);
    if (packet.body.size() < 2 + topic_bytes + id_bytes)
        throw std::runtime_error("the broker sent a PUBLISH that ends too early");
    view.topic = packet.body.substr(2, topic_bytes);
    if (id_bytes > 0) view.packet_id = get_u16(packet.body.substr(2 + topic_bytes));
    view.payload = packet.body.substr(2 + topic_bytes + id_bytes);
    return view;
}

std::uint16_t packet_id_of(const Packet& ack) {
    if (ack.body.size() < 2) throw std::runtime_error("the broker sent an acknowledgement without packet id");
    return get_u16(ack.body);
}

}  // namespace bench
