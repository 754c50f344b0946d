#include "wire/decode.hpp"
#include "wire/properties.hpp"
#include "wire/reader.hpp"

namespace sluice::wire {
namespace {

void read_flags(Reader& in, std::uint8_t flags, Publish& packet) {
    const std::uint8_t qos = flags >> 1 & 3;
    in.require(qos != 3, "PUBLISH: QoS is 3");  // [MQTT-3.3.1-4]
    packet.qos = static_cast<QoS>(qos);
    packet.retain = (flags & 0x01) != 0;
    packet.dup = (flags & 0x08) != 0;
    in.require(qos != 0 || !packet.dup, "PUBLISH: DUP at QoS 0");  // [MQTT-3.3.1-2]
}

void judge_topic(Reader& in, Version version, const Publish& packet) {
    if (!in.ok()) return;
    if (!packet.topic.empty()) {
        // UTF-8 was checked, U+0000 with it. [MQTT-3.3.2-2]
        const bool wildcard =
            packet.topic.find('+') != packet.topic.npos || packet.topic.find('#') != packet.topic.npos;
        return in.require(!wildcard, "PUBLISH: wildcard in the topic name");
    }
    if (version < Version::v5) return in.malformed("PUBLISH: topic name is empty");  // [MQTT-4.7.3-1]
    if (!packet.properties.topic_alias) {
        in.protocol_error("PUBLISH: topic name is empty and there is no topic alias");
    }
}

}  // namespace

Result<Publish, WireError> decode_publish(Version version, std::uint8_t flags, Bytes body,
                                          ByteBuffer& scratch) {
    scratch.clear();
    return decode_with<Publish>(body, "", [&](Reader& in, Publish& packet) {
        read_flags(in, flags, packet);
        packet.topic = in.text("PUBLISH: topic name");  // [MQTT-3.3.2-1]
        // [MQTT-2.2.1-2]: no identifier at QoS 0
        if (packet.qos != QoS::at_most_once) packet.packet_id = in.packet_id("PUBLISH: packet identifier");
        if (version == Version::v5) read_publish_properties(in, packet, scratch);
        judge_topic(in, version, packet);
        packet.payload = in.take(in.rest().size(), "");
    });
}

Result<Properties, WireError> decode_publish_properties(Bytes properties) {
    return decode_with<Properties>(properties, "", [](Reader& in, Properties& result) {
        while (!in.at_end()) read_property(in, place_of(PacketType::publish), result);
    });
}

}  // namespace sluice::wire
