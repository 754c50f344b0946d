#include <gtest/gtest.h>

#include "tests/support/hex.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"

namespace sluice::wire {
namespace {

using test::hex;

ByteBuffer copy_of(Bytes bytes) {
    return {bytes.begin(), bytes.end()};
}

TEST(DecodePublish, ReadsEveryFieldOfVersion5) {
    const ByteBuffer body = hex("0003 'a/b' 1234 10 01 01 02 0000003c 03 0001 'x' 0b 05 23 0007 'payload'");
    ByteBuffer scratch;
    const auto packet = decode_publish(Version::v5, 0x0D, body, scratch);
    ASSERT_TRUE(packet.ok()) << packet.error().what;
    EXPECT_EQ(packet->topic, "a/b");
    EXPECT_EQ(as_text(packet->payload), "payload");
    EXPECT_EQ(packet->qos, QoS::exactly_once);
    EXPECT_TRUE(packet->retain);
    EXPECT_TRUE(packet->dup);
    EXPECT_EQ(packet->packet_id, 0x1234);
    EXPECT_EQ(packet->properties.payload_format_indicator, 1);
    EXPECT_EQ(packet->properties.message_expiry_interval_s, 60U);
    EXPECT_EQ(packet->properties.subscription_identifiers, std::vector<std::uint32_t>{5});
    EXPECT_EQ(packet->properties.topic_alias, 7);
}

TEST(DecodePublish, AllocatesNothingOnTheHotPath) {
    const ByteBuffer body = hex("0003 'a/b' 1234 0c 23 0007 02 0000003c 03 0001 'x' 'payload'");
    ByteBuffer scratch;
    const auto packet = decode_publish(Version::v5, 0x02, body, scratch);
    ASSERT_TRUE(packet.ok());
    EXPECT_EQ(scratch.capacity(), 0U);
    EXPECT_EQ(packet->properties.user_properties.capacity(), 0U);
    EXPECT_EQ(packet->properties.subscription_identifiers.capacity(), 0U);
    const auto inside = [&](const void* at) { return at >= body.data() && at <= body.data() + body.size(); };
    EXPECT_TRUE(inside(packet->topic.data()));
    EXPECT_TRUE(inside(packet->payload.data()));
    EXPECT_TRUE(inside(packet->forward_properties.data()));
}

struct ForwardCase {
    const char* run;
    const char* forwarded;
    bool borrowed;
};

// What is forwarded keeps its bytes and its order; expiry, alias and subscription identifiers are left out.
TEST(DecodePublish, KeepsWhatIsForwardedUnaltered_MQTT_3_3_2_4_15_16_17_20) {
    const ForwardCase cases[] = {
        {"", "", true},
        {"23 0007", "", true},
        {"02 00000001 0b 05 23 0007", "", true},
        {"01 01", "01 01", true},
        {"26 0001 'b' 0000 26 0001 'a' 0000 09 0001 00", "26 0001 'b' 0000 26 0001 'a' 0000 09 0001 00",
         true},
        {"23 0007 01 00 03 0000", "01 00 03 0000", true},
        {"01 00 03 0000 02 00000001", "01 00 03 0000", true},
        {"02 00000001 08 0001 'r' 23 0001", "08 0001 'r'", true},
        {"01 00 23 0001 03 0000", "01 00 03 0000", false},
        {"23 0001 26 0000 0000 0b 01 26 0001 'x' 0000 0b 02 01 01", "26 0000 0000 26 0001 'x' 0000 01 01",
         false},
    };
    ByteBuffer scratch = hex("ffffff");  // of an earlier call
    for (const ForwardCase& row : cases) {
        SCOPED_TRACE(row.run);
        const ByteBuffer run = hex(row.run);
        ByteBuffer body = hex("0001 't'");
        body.push_back(static_cast<std::uint8_t>(run.size()));
        append(body, run);
        append(body, hex("'payload'"));
        const auto packet = decode_publish(Version::v5, 0, body, scratch);
        ASSERT_TRUE(packet.ok()) << packet.error().what;
        EXPECT_EQ(copy_of(packet->forward_properties), hex(row.forwarded));
        EXPECT_EQ(scratch.empty(), row.borrowed);
        EXPECT_EQ(as_text(packet->payload), "payload");
    }
}

TEST(DecodePublish, OldVersionsHaveNoProperties) {
    ByteBuffer scratch;
    const ByteBuffer body = hex("0001 't' 00 'x'");
    const auto packet = decode_publish(Version::v3_1_1, 0, body, scratch);
    ASSERT_TRUE(packet.ok());
    EXPECT_EQ(copy_of(packet->payload), hex("00 'x'"));
    EXPECT_TRUE(packet->forward_properties.empty());
}

TEST(DecodePublish, RefusesQoS3_MQTT_3_3_1_4) {
    ByteBuffer scratch;
    for (const int flags : {6, 7, 14, 15}) {
        const auto packet =
            decode_publish(Version::v5, static_cast<std::uint8_t>(flags), hex("0001 't' 0001 00"), scratch);
        ASSERT_FALSE(packet.ok());
        EXPECT_EQ(packet.error().code, ReasonCode::malformed_packet);
    }
}

TEST(DecodePublish, TakesTheLongestTopic) {
    ByteBuffer body = hex("ffff");
    body.insert(body.end(), 65535, 'a');
    ByteBuffer scratch;
    const auto packet = decode_publish(Version::v3_1_1, 0, body, scratch);
    ASSERT_TRUE(packet.ok());
    EXPECT_EQ(packet->topic.size(), 65535U);
}

TEST(EncodePublish, IsThePropertiesNotTheForwardedRun) {
    Publish packet;
    packet.topic = "a/b";
    packet.payload = as_bytes("x");
    packet.qos = QoS::at_least_once;
    packet.packet_id = 10;
    packet.properties.topic_alias = 7;
    packet.properties.user_properties = {{"k", "v"}};
    const ByteBuffer other = hex("01 01");
    packet.forward_properties = other;
    ByteBuffer out = hex("aa");
    encode_publish(out, Version::v5, packet);
    EXPECT_EQ(out, hex("aa 32 13 0003 'a/b' 000a 0a 23 0007 26 0001 'k' 0001 'v' 'x'"));
    out.clear();
    encode_publish(out, Version::v3_1, packet);
    EXPECT_EQ(out, hex("32 08 0003 'a/b' 000a 'x'"));
}

}  // namespace
}  // namespace sluice::wire
