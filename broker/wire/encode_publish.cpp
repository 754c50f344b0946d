#include <algorithm>

#include "wire/encode.hpp"
#include "wire/writer.hpp"

namespace sluice::wire {

void encode_publish(ByteBuffer& out, Version version, const Publish& packet) {
    ByteBuffer run;
    if (version == Version::v5) encode_property_run(run, packet.properties);
    PublishHead head;
    head.version = version;
    head.qos = packet.qos;
    head.retain = packet.retain;
    head.dup = packet.dup;
    head.packet_id = packet.packet_id;
    ByteBuffer parts;
    std::size_t packet_bytes = 0;
    const std::size_t first = encode_publish_head(parts, head, packet.topic.size(), run.size(),
                                                  packet.payload.size(), packet_bytes);
    // At least twice as much: many packets in one buffer would else be copied for each further one.
    const std::size_t needed = out.size() + packet_bytes;
    if (needed > out.capacity()) out.reserve(std::max(needed, 2 * out.capacity()));
    append(out, Bytes(parts).first(first));
    append(out, as_bytes(packet.topic));
    append(out, Bytes(parts).subspan(first));
    append(out, run);
    append(out, packet.payload);
}

}  // namespace sluice::wire
