#include "wire/decode.hpp"
#include "wire/legal_codes.hpp"
#include "wire/properties.hpp"
#include "wire/reader.hpp"

namespace sluice::wire {
namespace {

/// The options byte; before version 5 it holds the QoS alone.
void read_options(Reader& in, Version version, SubscribeEntry& entry) {
    const std::uint8_t options = in.u8("SUBSCRIBE: subscription options");
    const std::uint8_t reserved = version == Version::v5 ? 0xC0 : 0xFC;
    in.require((options & reserved) == 0, "SUBSCRIBE: reserved option bits are set");  // [MQTT-3.8.3-5]
    const std::uint8_t qos = options & 3, retain_handling = options >> 4 & 3;
    if (qos == 3) {
        in.fail(version == Version::v5 ? ReasonCode::protocol_error : ReasonCode::malformed_packet,
                "SUBSCRIBE: QoS is 3");
    }
    if (retain_handling == 3) in.protocol_error("SUBSCRIBE: retain handling is 3");
    entry.qos = static_cast<QoS>(qos);
    entry.no_local = (options & 0x04) != 0;
    entry.retain_as_published = (options & 0x08) != 0;
    entry.retain_handling = static_cast<RetainHandling>(retain_handling);
    if (entry.no_local && entry.filter.starts_with("$share/")) {  // [MQTT-3.8.3-4]
        in.protocol_error("SUBSCRIBE: no local on a shared subscription");
    }
}

}  // namespace

Result<Subscribe, WireError> decode_subscribe(Version version, Bytes body) {
    return decode_with<Subscribe>(body, "", [&](Reader& in, Subscribe& packet) {
        packet.packet_id = in.packet_id("SUBSCRIBE: packet identifier");
        read_properties(in, version, place_of(PacketType::subscribe), packet.properties);
        if (in.at_end()) return in.protocol_error("SUBSCRIBE: no topic filter");  // [MQTT-3.8.3-2]
        while (!in.at_end()) {
            SubscribeEntry entry;
            entry.filter = in.topic_filter(version, "SUBSCRIBE: topic filter");  // [MQTT-3.8.3-1]
            read_options(in, version, entry);
            packet.entries.push_back(entry);
        }
    });
}

Result<Suback, WireError> decode_suback(Version version, Bytes body) {
    return decode_with<Suback>(body, "", [&](Reader& in, Suback& packet) {
        packet.packet_id = in.packet_id("SUBACK: packet identifier");
        read_properties(in, version, place_of(PacketType::suback), packet.properties);
        if (in.at_end()) return in.protocol_error("SUBACK: no reason code");
        while (!in.at_end()) {
            const std::uint8_t code = in.u8("SUBACK: reason code");
            const bool legal = version == Version::v5
                                   ? is_legal_code(PacketType::suback, code)  // [MQTT-3.9.3-2]
                                   : code <= 2 || code == 0x80;
            if (!legal) in.protocol_error("SUBACK: reason code is not legal here");
            packet.codes.push_back(static_cast<ReasonCode>(code));
        }
    });
}

}  // namespace sluice::wire
