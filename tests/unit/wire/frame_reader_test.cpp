#include "wire/frame_reader.hpp"

#include <gtest/gtest.h>

#include "tests/support/hex.hpp"

namespace sluice::wire {
namespace {

using test::hex;

const ByteBuffer stream = hex(
    "c0 00  30 05 0003 'a/b'  40 02 0001  30 80 01 0003 'a/b'"
    "'0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789'"
    "'01234567890123456789012'  e0 00");

std::vector<ByteBuffer> frames_of(const ByteBuffer& input, std::size_t chunk) {
    FrameReader reader(1024);
    std::vector<ByteBuffer> frames;
    for (std::size_t at = 0; at < input.size(); at += chunk) {
        const auto result =
            reader.feed(Bytes(input).subspan(at, std::min(chunk, input.size() - at)), [&](const Frame& f) {
                frames.push_back({static_cast<std::uint8_t>(static_cast<unsigned>(f.type) << 4 | f.flags)});
                append(frames.back(), f.body);
                return true;
            });
        EXPECT_TRUE(result.ok());
    }
    EXPECT_TRUE(reader.pending().empty());
    return frames;
}

TEST(FrameReader, CutsTheSameFramesFromAnyChunks) {
    const auto whole = frames_of(stream, stream.size());
    ASSERT_EQ(whole.size(), 5U);
    EXPECT_EQ(whole[1], hex("30 0003 'a/b'"));
    EXPECT_EQ(whole[3].size(), 129U);
    for (std::size_t chunk = 1; chunk < stream.size(); ++chunk)
        EXPECT_EQ(frames_of(stream, chunk), whole) << chunk;
}

TEST(FrameReader, DoesNotCopyFramesInTheMiddle) {
    FrameReader reader(1024);
    const auto result = reader.feed(stream, [&](const Frame& frame) {
        EXPECT_TRUE(frame.body.empty() ||
                    (frame.body.data() > stream.data() && frame.body.data() < &stream.back()));
        return true;
    });
    EXPECT_TRUE(result.ok());
}

TEST(FrameReader, KeepsTheTailAndWhatFollowsAnEarlyStop) {
    FrameReader reader(1024);
    int calls = 0;
    const auto stop = [&](const Frame&) { return ++calls, false; };
    EXPECT_TRUE(reader.feed(hex("c0 00 c0 00 40 02"), stop).ok());
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(reader.pending().size(), 4U);
    EXPECT_TRUE(reader.feed(hex("0001 d0"), stop).ok());
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(reader.pending().size(), 5U);
    EXPECT_TRUE(reader
                    .feed({},
                          [&](const Frame& frame) {
                              EXPECT_EQ(frame.type, PacketType::puback);
                              return true;
                          })
                    .ok());
    EXPECT_EQ(reader.pending().size(), 1U);
    EXPECT_TRUE(reader.feed(hex("00"), stop).ok());
    EXPECT_EQ(calls, 3);
    EXPECT_TRUE(reader.pending().empty());
}

// The body is 1023 bytes; with its header the packet is 1026.
TEST(FrameReader, RefusesAnOversizePacketFromItsHeader) {
    const auto refused = cut_frame(hex("30 ff 07"), 1025);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ReasonCode::packet_too_large);
    EXPECT_TRUE(cut_frame(hex("30 ff 07"), 1026).ok());
}

TEST(FrameReader, LimitsMayChangeFromFrameToFrame) {
    FrameReader reader(1024);
    std::vector<PacketType> types;
    const auto result = reader.feed(hex("c0 00 30 05 0003 'a/b'"), [&](const Frame& frame) {
        types.push_back(frame.type);
        reader.set_packet_bytes_max(4);
        return true;
    });
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ReasonCode::packet_too_large);
    EXPECT_EQ(types, std::vector<PacketType>{PacketType::pingreq});
}

TEST(FrameReader, VersionMayChangeFromFrameToFrame) {
    FrameReader reader(1024);
    int calls = 0;
    // A SUBSCRIBE that is sent again carries DUP in MQTT 3.1.
    const auto result = reader.feed(hex("10 0f 0006 'MQIsdp' 03 02 003c 0001 'p'  8a 06 0001 0001 'a' 00"),
                                    [&](const Frame&) {
                                        reader.set_version(Version::v3_1);
                                        return ++calls, true;
                                    });
    EXPECT_TRUE(result.ok());
    EXPECT_EQ(calls, 2);
    EXPECT_FALSE(reader.feed(hex("f0 00"), [](const Frame&) { return true; }).ok());
}

// Table 2-2 of the specification.
TEST(CutFrame, JudgesTheFlagsOfEveryType_MQTT_2_1_3_1) {
    for (unsigned type = 0; type < 16; ++type) {
        for (unsigned flags = 0; flags < 16; ++flags) {
            const unsigned wanted = type == 6 || type == 8 || type == 10 ? 2 : 0;
            const bool legal = type == 3 || (type != 0 && flags == wanted);
            const ByteBuffer bytes = {static_cast<std::uint8_t>(type << 4 | flags), 0};
            EXPECT_EQ(cut_frame(bytes, 1024).ok(), legal) << type << " " << flags;
        }
    }
}

TEST(CutFrame, CountsTheWholePacket) {
    const auto cut = cut_frame(hex("40 02 0001 c0 00"), 4);
    ASSERT_TRUE(cut.ok() && cut->has_value());
    EXPECT_EQ((*cut)->size_bytes, 4U);
    EXPECT_EQ((*cut)->body.size(), 2U);
    EXPECT_FALSE(cut_frame(hex("40 02 0001"), 3).ok());
}

}  // namespace
}  // namespace sluice::wire
