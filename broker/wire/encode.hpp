#pragma once
/// Packets to bytes, appended to `out`, fixed header included. What a version cannot say is left out
/// (properties, reason codes before version 5). Texts and binaries over 65535 bytes and packets over
/// 268435455 are our own mistake: CHECK.
#include <optional>
#include <span>

#include "base/bytes.hpp"
#include "wire/packets.hpp"

namespace sluice::wire {

void encode_connect(ByteBuffer& out, const Connect& packet);
/// Before version 5 the code is mapped to the return codes 0 to 5 of MQTT 3.1.1 table 3.1.
void encode_connack(ByteBuffer& out, Version version, const Connack& packet);
/// The whole PUBLISH in one run, from `properties` (`forward_properties` is not looked at); the hot path uses
/// `encode_publish_head` instead.
void encode_publish(ByteBuffer& out, Version version, const Publish& packet);
void encode_ack(ByteBuffer& out, Version version, PacketType type, const Ack& packet);
void encode_subscribe(ByteBuffer& out, Version version, const Subscribe& packet);
void encode_suback(ByteBuffer& out, Version version, const Suback& packet);
void encode_unsubscribe(ByteBuffer& out, Version version, const Unsubscribe& packet);
void encode_unsuback(ByteBuffer& out, Version version, const Unsuback& packet);
void encode_pingreq(ByteBuffer& out);
void encode_pingresp(ByteBuffer& out);
/// Before version 5 only a client says goodbye, and only normally: any code but success appends nothing, and
/// a server just closes.
void encode_disconnect(ByteBuffer& out, Version version, const Disconnect& packet);
void encode_auth(ByteBuffer& out, const Auth& packet);

/// Appends properties without their length in front, as `Publish::forward_properties` holds them.
void encode_property_run(ByteBuffer& out, const Properties& properties);

/// What differs per receiver of one PUBLISH; the shared parts (topic, property run, payload) are given by
/// their sizes only.
struct PublishHead {
    Version version = Version::v5;
    QoS qos = QoS::at_most_once;
    bool retain = false;
    bool dup = false;
    PacketId packet_id = 0;                          ///< 0 at QoS 0
    std::optional<std::uint16_t> topic_alias;        ///< version 5 only
    std::optional<std::uint32_t> expiry_interval_s;  ///< what is left of it [MQTT-3.3.2-6]; version 5 only
    std::span<const std::uint32_t> subscription_identifiers;  ///< version 5 only
};
/// A PUBLISH is: `first`, topic bytes (may be none with an alias), `second`, property run (version 5),
/// payload. `first` = fixed header and the topic's length; `second` = packet id, properties length, and the
/// properties that are this receiver's own. Both are appended to `out`; returns the length of `first`. The
/// total of the packet is reported through `packet_bytes`.
std::size_t encode_publish_head(ByteBuffer& out, const PublishHead& head, std::size_t topic_bytes,
                                std::size_t property_run_bytes, std::size_t payload_bytes,
                                std::size_t& packet_bytes);

}  // namespace sluice::wire
