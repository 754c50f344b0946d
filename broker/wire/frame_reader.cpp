#include "wire/frame_reader.hpp"

#include "wire/decode.hpp"
#include "wire/varint.hpp"

namespace sluice::wire {
namespace {

Err<WireError> malformed(const char* what) {
    return Err{WireError{ReasonCode::malformed_packet, what}};
}

/// What the low four bits must be [MQTT-2.1.3-1]; PUBLISH is judged with its body.
bool are_legal_flags(PacketType type, std::uint8_t flags, Version version) {
    if (type == PacketType::publish) return true;
    if (version == Version::v3_1) return true;  // "not used" there, and retries carry DUP
    // [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]; all others 0 [MQTT-3.14.1-1], [MQTT-3.15.1-1]
    const bool wants_2 =
        type == PacketType::pubrel || type == PacketType::subscribe || type == PacketType::unsubscribe;
    return flags == (wants_2 ? 2 : 0);
}

bool is_ping(PacketType type) {
    return type == PacketType::pingreq || type == PacketType::pingresp;
}

}  // namespace

Result<std::optional<Frame>, WireError> cut_frame(Bytes input, std::size_t packet_bytes_max,
                                                  Version version) {
    if (input.empty()) return std::optional<Frame>{};
    const std::uint8_t number = input[0] >> 4, flags = input[0] & 0x0F;
    if (number == 0) return malformed("fixed header: packet type 0 is reserved");
    const auto type = static_cast<PacketType>(number);
    if (type == PacketType::auth && version < Version::v5) {
        return malformed("fixed header: packet type 15 is reserved before version 5");
    }
    const bool legal_flags = are_legal_flags(type, flags, version);
    // A CONNECT tells its version in its body only, and MQTT 3.1 does not use the flags there either.
    if (!legal_flags && type != PacketType::connect) return malformed("fixed header: reserved flags");

    const Varint remaining = read_varint(input.subspan(1));
    if (remaining.state == VarintState::malformed) return malformed("fixed header: remaining length");
    if (remaining.state == VarintState::incomplete) return std::optional<Frame>{};
    if (is_ping(type) && remaining.value != 0) return malformed("PINGREQ or PINGRESP: has a body");
    const std::size_t header_bytes = 1 + remaining.size_bytes;
    const std::size_t size_bytes = header_bytes + remaining.value;
    if (size_bytes > packet_bytes_max) {
        return Err{WireError{ReasonCode::packet_too_large, "fixed header: packet is larger than the limit"}};
    }
    if (input.size() < size_bytes) return std::optional<Frame>{};
    const Frame frame{type, flags, input.subspan(header_bytes, remaining.value), size_bytes};
    if (!legal_flags && peek_version(frame.body) != Version::v3_1) {
        return malformed("CONNECT: reserved flags in the fixed header");
    }
    return std::optional(frame);
}

std::size_t FrameReader::missing_bytes() const {
    const Varint remaining = read_varint(Bytes(pending_).subspan(1));
    if (remaining.state != VarintState::complete) return 1;
    return 1 + remaining.size_bytes + remaining.value - pending_.size();
}

Bytes FrameReader::top_up(Bytes input) {
    const std::size_t wanted = pending_.empty() ? 0 : missing_bytes();
    const std::size_t taken = wanted < input.size() ? wanted : input.size();
    append(pending_, input.first(taken));
    return input.subspan(taken);
}

void FrameReader::drop_front(std::size_t bytes) {
    if (bytes == pending_.size()) {
        ByteBuffer().swap(pending_);  // clear() would keep the memory
    } else {
        pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(bytes));
    }
}

}  // namespace sluice::wire
