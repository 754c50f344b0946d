#pragma once
/// The few MQTT 3.1.1 packets that the load needs, written without the broker's own code: what measures it
/// must not share its mistakes.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

enum Kind : std::uint8_t {
    connack = 0x20,
    publish = 0x30,
    puback = 0x40,
    pubrec = 0x50,
    pubrel = 0x60,
    pubcomp = 0x70,
    suback = 0x90,
    pingresp = 0xD0,
};

std::string connect_packet(std::string_view client_id, bool clean_session);
std::string subscribe_packet(std::span<const std::string> filters, std::uint8_t qos);
std::string ping_packet();
std::string disconnect_packet();

/// What each payload begins with, in this machine's byte order: generator and receiver are one process.
struct Stamp {
    std::uint32_t publisher;
    std::uint32_t sequence;  ///< from 1
    std::uint64_t sent_ns;   ///< of the monotonic clock
};

/// A PUBLISH with room for a stamp; only packet id, sequence and time change from message to message.
class PublishTemplate {
  public:
    /// `payload_bytes` is at least sizeof(Stamp).
    PublishTemplate(std::string_view topic, std::uint8_t qos, bool retain, std::size_t payload_bytes,
                    std::uint32_t publisher);
    /// `packet_id` is ignored for QoS 0.
    void append_to(std::vector<char>& out, std::uint16_t packet_id, std::uint32_t sequence,
                   std::uint64_t now_ns);

  private:
    std::string bytes_;
    std::size_t id_at_ = 0;  // 0: none
    std::size_t stamp_at_ = 0;
    Stamp stamp_;
};

/// A packet found in a buffer.
struct Packet {
    std::uint8_t first = 0;
    std::string_view body;
    std::size_t size = 0;  ///< with its header; 0: the buffer does not hold a whole one
};
Packet parse_packet(std::string_view bytes);

struct PublishView {
    std::uint16_t packet_id = 0;
    std::uint8_t qos = 0;
    std::string_view topic;
    std::string_view payload;
};
/// Throws std::runtime_error when the body is not a PUBLISH.
PublishView parse_publish(const Packet& packet);

std::uint16_t packet_id_of(const Packet& ack);

}  // namespace bench
