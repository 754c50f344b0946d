#include "tests/sim/message_id.hpp"

#include "wire/decode.hpp"

namespace sluice::sim {

ByteBuffer bytes_of_id(MessageId id) {
    ByteBuffer bytes;
    append_u16(bytes, static_cast<std::uint16_t>(id >> 16));
    append_u16(bytes, static_cast<std::uint16_t>(id));
    return bytes;
}

MessageId id_of_bytes(Bytes bytes) {
    if (bytes.size() != 4) return 0;
    MessageId id = 0;
    for (const std::uint8_t byte : bytes) id = id << 8 | byte;
    return id;
}

MessageId id_of_message(const core::Message& message) {
    const auto properties = wire::decode_publish_properties(message.properties());
    return properties ? id_of_bytes(properties->correlation_data.value_or(Bytes{})) : 0;
}

}  // namespace sluice::sim
