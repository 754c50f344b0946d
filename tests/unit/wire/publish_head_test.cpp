#include <gtest/gtest.h>

#include "tests/support/hex.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"
#include "wire/frame_reader.hpp"

namespace sluice::wire {
namespace {

using test::hex;

struct Parts {
    ByteBuffer first, second;
    std::size_t packet_bytes = 0;
};

Parts parts_of(const PublishHead& head, std::size_t topic, std::size_t run, std::size_t payload) {
    ByteBuffer out = hex("ee ee");  // what others have written before
    Parts parts;
    const std::size_t first = encode_publish_head(out, head, topic, run, payload, parts.packet_bytes);
    EXPECT_EQ(out[0], 0xEE);
    const auto begin = out.begin() + 2, middle = begin + static_cast<std::ptrdiff_t>(first);
    parts.first.assign(begin, middle);
    parts.second.assign(middle, out.end());
    return parts;
}

TEST(PublishHead, Version3HasNoProperties) {
    PublishHead head;
    head.version = Version::v3_1_1;
    head.topic_alias = 1;
    head.expiry_interval_s = 5;
    const Parts parts = parts_of(head, 3, 100, 7);
    EXPECT_EQ(parts.first, hex("30 0c 0003"));
    EXPECT_EQ(parts.second, hex(""));
    EXPECT_EQ(parts.packet_bytes, 14U);
}

TEST(PublishHead, Version5HasALengthEvenWithoutProperties) {
    const Parts parts = parts_of({}, 3, 0, 7);
    EXPECT_EQ(parts.first, hex("30 0d 0003"));
    EXPECT_EQ(parts.second, hex("00"));
    EXPECT_EQ(parts.packet_bytes, 15U);
}

TEST(PublishHead, HasTheReceiversOwnProperties) {
    PublishHead head;
    const std::uint32_t identifiers[] = {1, 268'435'455};
    head.qos = QoS::exactly_once;
    head.retain = true;
    head.dup = true;
    head.packet_id = 0xABCD;
    head.topic_alias = 9;
    head.expiry_interval_s = 60;
    head.subscription_identifiers = identifiers;
    const Parts parts = parts_of(head, 0, 4, 2);
    EXPECT_EQ(parts.second, hex("abcd 13 02 0000003c 0b 01 0b ffffff7f 23 0009"));
    EXPECT_EQ(parts.first, hex("3d 1a 0000"));
    EXPECT_EQ(parts.packet_bytes, 28U);
}

TEST(PublishHead, HasNoDupAtQoS0_MQTT_3_3_1_2) {
    PublishHead head;
    head.dup = true;
    head.packet_id = 5;
    EXPECT_EQ(parts_of(head, 1, 0, 0).first, hex("30 04 0001"));
    EXPECT_EQ(parts_of(head, 1, 0, 0).second, hex("00"));
}

TEST(PublishHead, CountsLargePackets) {
    PublishHead head;
    head.qos = QoS::at_least_once;
    head.packet_id = 1;
    for (const std::size_t payload : {0U, 118U, 119U, 120U, 16'374U, 16'375U, 2'097'143U, 3'000'000U}) {
        for (const std::size_t run : {0U, 127U, 128U, 20'000U}) {
            const Parts parts = parts_of(head, 3, run, payload);
            EXPECT_EQ(parts.packet_bytes, parts.first.size() + 3 + parts.second.size() + run + payload);
        }
    }
}

// Put together it is a packet that decodes to what went in, the run byte for byte.
TEST(PublishHead, MakesAPacketWithTheSharedParts) {
    const ByteBuffer run = hex("01 01 26 0001 'k' 0001 'v'");
    PublishHead head;
    const std::uint32_t identifiers[] = {300};
    head.qos = QoS::at_least_once;
    head.packet_id = 7;
    head.expiry_interval_s = 1;
    head.subscription_identifiers = identifiers;
    const Parts parts = parts_of(head, 3, run.size(), 2);
    ByteBuffer bytes = parts.first;
    append(bytes, hex("'a/b'"));
    append(bytes, parts.second);
    append(bytes, run);
    append(bytes, hex("'hi'"));
    EXPECT_EQ(bytes.size(), parts.packet_bytes);
    const auto cut = cut_frame(bytes, SIZE_MAX);
    ASSERT_TRUE(cut.ok() && cut->has_value());
    ByteBuffer scratch;
    const auto packet = decode_publish(Version::v5, (*cut)->flags, (*cut)->body, scratch);
    ASSERT_TRUE(packet.ok()) << packet.error().what;
    EXPECT_EQ(packet->topic, "a/b");
    EXPECT_EQ(packet->packet_id, 7);
    EXPECT_EQ(packet->properties.message_expiry_interval_s, 1U);
    EXPECT_EQ(packet->properties.subscription_identifiers, std::vector<std::uint32_t>{300});
    EXPECT_TRUE(std::equal(run.begin(), run.end(), packet->forward_properties.begin(),
                           packet->forward_properties.end()));
    EXPECT_EQ(as_text(packet->payload), "hi");
}

TEST(PublishHeadDeathTest, NeedsAPacketIdentifierAboveQoS0_MQTT_2_2_1_4) {
    PublishHead head;
    head.qos = QoS::at_least_once;
    EXPECT_DEATH(parts_of(head, 1, 0, 0), "CHECK failed");
}

}  // namespace
}  // namespace sluice::wire
