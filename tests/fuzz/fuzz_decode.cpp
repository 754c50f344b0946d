/// Any bytes, as any packet of any version: refused, or decode -> encode -> decode agree.
/// Input: a byte that chooses version and packet type, then a stream of packets.
#include "base/check.hpp"
#include "tests/support/any_packet.hpp"

using namespace sluice;

namespace {

/// Through the front door: what a peer can do.
void decode_stream(wire::Version version, Bytes input) {
    while (!input.empty()) {
        const auto cut = wire::cut_frame(input, SIZE_MAX, version);
        if (!cut || !*cut) return;
        CHECK(test::survives_round_trip(version, **cut));
        input = input.subspan((*cut)->size_bytes);
    }
}

/// Without a fixed header that fits, so that the decoders are reached at once.
void decode_body(wire::Version version, unsigned type, Bytes input) {
    const std::uint8_t flags = input.empty() ? 0 : input[0] & 0x0F;
    const Bytes body = input.subspan(input.empty() ? 0 : 1);
    const auto packet_type = static_cast<wire::PacketType>(type == 0 ? 3 : type);
    CHECK(test::survives_round_trip(version, {packet_type, flags, body, body.size()}));
}

void decode_run(Bytes input) {
    const auto properties = wire::decode_publish_properties(input);
    if (!properties) return;
    ByteBuffer run, again;
    wire::encode_property_run(run, *properties);
    const auto second = wire::decode_publish_properties(run);
    CHECK(second.ok());
    wire::encode_property_run(again, *second);
    CHECK(run == again);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto version = static_cast<wire::Version>(3 + data[0] % 3);
    const Bytes input(data + 1, size - 1);
    decode_stream(version, input);
    decode_body(version, data[0] >> 4, input);
    decode_run(input);
    return 0;
}
