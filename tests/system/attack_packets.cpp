#include "tests/system/attack_packets.hpp"

#include <algorithm>

namespace sluice::test::attack {

using wire::QoS;
using wire::Version;

namespace {

std::string string_of(const ByteBuffer& bytes) {
    return std::string(as_text(bytes));
}

}  // namespace

std::string connect_as(const std::string& client_id, const ConnectOptions& options) {
    wire::Connect connect;
    connect.version = options.v5 ? Version::v5 : Version::v3_1_1;
    connect.client_id = client_id;
    connect.clean_start = options.v5 ? options.clean_start : options.expiry_s == 0;
    if (options.v5) connect.properties.session_expiry_interval_s = options.expiry_s;
    ByteBuffer out;
    wire::encode_connect(out, connect);
    return string_of(out);
}

std::string connect_with_will(const std::string& client_id, std::size_t bytes) {
    const std::string part = text(60'000);
    wire::Connect connect;
    connect.client_id = client_id;
    connect.will.emplace();
    connect.will->topic = "will";
    for (std::size_t n = part.size(); n < bytes; n += part.size())
        connect.will->properties.user_properties.push_back({"n", part});
    ByteBuffer out;
    wire::encode_connect(out, connect);
    return string_of(out);
}

std::string publish(const std::string& topic, const std::string& payload, const PublishOptions& options) {
    wire::Publish packet;
    packet.topic = topic;
    packet.payload = as_bytes(payload);
    packet.qos = options.qos;
    packet.retain = options.retain;
    if (options.qos != QoS::at_most_once)
        packet.packet_id = static_cast<wire::PacketId>(options.id % 65535 + 1);
    if (options.alias != 0) packet.properties.topic_alias = static_cast<std::uint16_t>(options.alias);
    ByteBuffer out;
    wire::encode_publish(out, options.v5 ? Version::v5 : Version::v3_1_1, packet);
    return string_of(out);
}

std::string subscribe(const std::vector<std::string>& filters, QoS qos) {
    wire::Subscribe packet;
    packet.packet_id = 1;
    for (const std::string& filter : filters) packet.entries.push_back({.filter = filter, .qos = qos});
    ByteBuffer out;
    wire::encode_subscribe(out, Version::v5, packet);
    return string_of(out);
}

std::string pings(int count) {
    ByteBuffer out;
    for (int i = 0; i < count; ++i) wire::encode_pingreq(out);
    return string_of(out);
}

std::string disconnect() {
    ByteBuffer out;
    wire::encode_disconnect(out, Version::v5, {});
    return string_of(out);
}

std::string websocket_upgrade() {
    return "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Protocol: mqtt\r\n\r\n";
}

std::string websocket_frame(const std::string& bytes) {
    std::string out("\x82", 1);
    const int length_bytes = bytes.size() < 126 ? 0 : bytes.size() < 65536 ? 2 : 8;
    const std::size_t first = length_bytes == 0 ? bytes.size() : length_bytes == 2 ? 126 : 127;
    out.push_back(static_cast<char>(0x80U | first));
    for (int i = length_bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(bytes.size() >> (8 * i)));
    return out.append(4, '\0') + bytes;
}

}  // namespace sluice::test::attack
