/// Every prefix and many mutations of every good packet: accepted or refused, but never read out of bounds
/// (the address sanitizer watches), and what is accepted survives a round trip.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "tests/support/any_packet.hpp"
#include "vectors.hpp"

namespace sluice::test {
namespace {

using wire::Version;

/// Decodes a copy that ends where its memory ends.
void decode_tight(Version version, wire::Frame frame, Bytes body) {
    const auto memory = std::make_unique<std::uint8_t[]>(body.size());
    std::copy(body.begin(), body.end(), memory.get());
    frame.body = {memory.get(), body.size()};
    EXPECT_TRUE(survives_round_trip(version, frame));
}

template <class Visit>
void for_each_good_packet(Visit&& visit) {
    for (const std::string& file : vector_files()) {
        for (const Vector& vector : load_vectors(file)) {
            if (vector.expect != "ok") continue;
            SCOPED_TRACE(vector.name);
            const auto cut = wire::cut_frame(vector.bytes, SIZE_MAX, vector.version);
            ASSERT_TRUE(cut.ok() && cut->has_value());
            for (const Version version : {Version::v3_1, Version::v3_1_1, Version::v5}) visit(version, **cut);
        }
    }
}

TEST(Prefixes, OfGoodPacketsAreRefusedOrAccepted) {
    for_each_good_packet([](Version version, const wire::Frame& frame) {
        for (std::size_t size = 0; size <= frame.body.size(); ++size) {
            decode_tight(version, frame, frame.body.first(size));
        }
    });
}

TEST(Mutations, OfGoodPacketsAreRefusedOrAccepted) {
    for_each_good_packet([](Version version, const wire::Frame& frame) {
        ByteBuffer body(frame.body.begin(), frame.body.end());
        for (std::uint8_t& byte : body) {
            const std::uint8_t before = byte;
            for (const int value : {0x00, 0x01, 0x7F, 0x80, 0xFF, before + 1, before - 1, before ^ 0x80}) {
                byte = static_cast<std::uint8_t>(value);
                decode_tight(version, frame, body);
            }
            byte = before;
        }
    });
}

TEST(Prefixes, OfGoodFramesWaitForMore) {
    for_each_good_packet([](Version version, const wire::Frame& frame) {
        ByteBuffer scratch;
        const AnyResult packet = decode_any(version, frame, scratch);
        if (!packet) return;
        const ByteBuffer bytes = encode_any(version, frame.type, *packet);
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            const auto memory = std::make_unique<std::uint8_t[]>(size);
            std::copy_n(bytes.begin(), size, memory.get());
            const auto cut = wire::cut_frame({memory.get(), size}, SIZE_MAX, version);
            EXPECT_TRUE(cut.ok() && !cut->has_value());
        }
    });
}

}  // namespace
}  // namespace sluice::test
