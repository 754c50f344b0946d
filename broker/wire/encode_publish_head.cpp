#include "wire/encode.hpp"
#include "wire/writer.hpp"

namespace sluice::wire {
namespace {

/// Writes into memory that was sized before; `append` byte by byte is too slow for the hot path.
struct Cursor {
    std::uint8_t* at;
    void u8(unsigned v) { *at++ = static_cast<std::uint8_t>(v); }
    void u16(std::size_t v) {
        u8(static_cast<unsigned>(v >> 8 & 0xFF));
        u8(static_cast<unsigned>(v & 0xFF));
    }
    void u32(std::uint32_t v) {
        u16(v >> 16);
        u16(v & 0xFFFF);
    }
    void varint(std::size_t v) { at += write_varint(at, v); }
};

/// The properties that are this receiver's own.
std::size_t own_properties_bytes(const PublishHead& head) {
    std::size_t bytes = (head.topic_alias ? 3U : 0U) + (head.expiry_interval_s ? 5U : 0U);
    for (const std::uint32_t id : head.subscription_identifiers) bytes += 1 + varint_bytes(id);
    return bytes;
}

void write_own_properties(Cursor& to, const PublishHead& head) {
    if (head.expiry_interval_s) {  // [MQTT-3.3.2-6]
        to.u8(0x02);
        to.u32(*head.expiry_interval_s);
    }
    for (const std::uint32_t id : head.subscription_identifiers) {  // [MQTT-3.3.4-3], [MQTT-3.3.4-4]
        to.u8(0x0B);
        to.varint(id);
    }
    if (head.topic_alias) {
        to.u8(0x23);
        to.u16(*head.topic_alias);
    }
}

unsigned first_byte(const PublishHead& head) {
    const bool dup = head.dup && head.qos != QoS::at_most_once;  // [MQTT-3.3.1-2]
    return 0x30U | (dup ? 8U : 0U) | static_cast<unsigned>(head.qos) << 1 | (head.retain ? 1U : 0U);
}

}  // namespace

std::size_t encode_publish_head(ByteBuffer& out, const PublishHead& head, std::size_t topic_bytes,
                                std::size_t property_run_bytes, std::size_t payload_bytes,
                                std::size_t& packet_bytes) {
    CHECK(topic_bytes <= 65535);
    const bool is_v5 = head.version == Version::v5;
    const bool has_id = head.qos != QoS::at_most_once;  // [MQTT-2.2.1-2]
    CHECK(!has_id || head.packet_id != 0);              // [MQTT-2.2.1-4]

    const std::size_t own_bytes = is_v5 ? own_properties_bytes(head) : 0;
    const std::size_t run_bytes = is_v5 ? property_run_bytes : 0;
    const std::size_t properties_bytes = own_bytes + run_bytes;
    const std::size_t second_bytes =
        (has_id ? 2U : 0U) + (is_v5 ? varint_bytes(properties_bytes) : 0U) + own_bytes;
    const std::size_t remaining_bytes = 2 + topic_bytes + second_bytes + run_bytes + payload_bytes;
    const std::size_t first_bytes = 1 + varint_bytes(remaining_bytes) + 2;
    packet_bytes = first_bytes - 2 + remaining_bytes;

    const std::size_t start = out.size();
    out.resize(start + first_bytes + second_bytes);
    Cursor to{out.data() + start};
    to.u8(first_byte(head));
    to.varint(remaining_bytes);
    to.u16(topic_bytes);
    if (has_id) to.u16(head.packet_id);
    if (is_v5) {
        to.varint(properties_bytes);
        write_own_properties(to, head);
    }
    return first_bytes;
}

}  // namespace sluice::wire
