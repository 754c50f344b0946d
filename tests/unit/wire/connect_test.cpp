#include <gtest/gtest.h>

#include "tests/support/hex.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"

namespace sluice::wire {
namespace {

using test::hex;

std::string text_of(Bytes bytes) {
    return std::string(as_text(bytes));
}

TEST(DecodeConnect, ReadsEveryFieldOfVersion5) {
    const ByteBuffer body =
        hex("0004 'MQTT' 05 f6 0e10 14 11 0000000a 21 0014 22 0005 17 00 26 0001 'k' 0001 'v'"
            "0003 'dev' 0c 18 00000005 26 0001 'a' 0001 'b' 0003 'w/t' 0002 ff00 0001 'u' 0002 00ff");
    const auto packet = decode_connect(body);
    ASSERT_TRUE(packet.ok()) << packet.error().what;
    EXPECT_EQ(packet->version, Version::v5);
    EXPECT_TRUE(packet->clean_start);
    EXPECT_EQ(packet->keep_alive_s, 3600);
    EXPECT_EQ(packet->client_id, "dev");
    EXPECT_EQ(packet->user_name, "u");
    EXPECT_EQ(text_of(*packet->password), std::string("\x00\xff", 2));
    EXPECT_EQ(packet->properties.session_expiry_interval_s, 10U);
    EXPECT_EQ(packet->properties.receive_maximum, 20);
    EXPECT_EQ(packet->properties.topic_alias_maximum, 5);
    EXPECT_EQ(packet->properties.request_problem_information, false);
    ASSERT_EQ(packet->properties.user_properties.size(), 1U);
    ASSERT_TRUE(packet->will.has_value());
    EXPECT_EQ(packet->will->topic, "w/t");
    EXPECT_EQ(text_of(packet->will->payload), std::string("\xff\x00", 2));
    EXPECT_EQ(packet->will->qos, QoS::exactly_once);
    EXPECT_TRUE(packet->will->retain);
    EXPECT_EQ(packet->will->properties.will_delay_interval_s, 5U);
    EXPECT_EQ(packet->will->properties.user_properties.at(0).name, "a");
}

TEST(DecodeConnect, TakesEmptyClientIdentifiersOfVersion5_MQTT_3_1_3_6) {
    const ByteBuffer body = hex("0004 'MQTT' 05 00 0000 00 0000");
    const auto packet = decode_connect(body);
    ASSERT_TRUE(packet.ok());
    EXPECT_TRUE(packet->client_id.empty());
    EXPECT_FALSE(packet->clean_start);
}

TEST(DecodeConnect, OldUserNamesMayBeMissingIn3_1) {
    const ByteBuffer body = hex("0006 'MQIsdp' 03 c2 0000 0001 'c' 0001 'u'");
    const auto packet = decode_connect(body);
    ASSERT_TRUE(packet.ok());
    EXPECT_EQ(packet->user_name, "u");
    EXPECT_FALSE(packet->password.has_value());
}

TEST(PeekVersion, KnowsBrokenConnectsByTheirFirstFields) {
    EXPECT_EQ(peek_version(hex("0004 'MQTT' 05 03")), Version::v5);
    EXPECT_EQ(peek_version(hex("0004 'MQTT' 04")), Version::v3_1_1);
    EXPECT_EQ(peek_version(hex("0006 'MQIsdp' 03 ff")), Version::v3_1);
    EXPECT_EQ(peek_version(hex("0004 'MQTT' 06 02")), std::nullopt);
    EXPECT_EQ(peek_version(hex("0004 'MQTT'")), std::nullopt);
    EXPECT_EQ(peek_version({}), std::nullopt);
}

TEST(EncodeConnect, LeavesOutAPasswordThatTheVersionCannotSay) {
    Connect packet;
    packet.version = Version::v3_1_1;
    packet.client_id = "c";
    packet.password = as_bytes("secret");
    packet.properties.receive_maximum = 1;
    ByteBuffer out;
    encode_connect(out, packet);
    EXPECT_EQ(out, hex("10 0d 0004 'MQTT' 04 02 0000 0001 'c'"));
    packet.version = Version::v5;
    out.clear();
    encode_connect(out, packet);
    EXPECT_EQ(out, hex("10 19 0004 'MQTT' 05 42 0000 03 21 0001 0001 'c' 0006 'secret'"));
}

// MQTT 3.1.1 table 3.1.
TEST(EncodeConnack, MapsReasonCodesToReturnCodes) {
    const std::vector<std::pair<ReasonCode, int>> rows = {
        {ReasonCode::success, 0},
        {ReasonCode::unsupported_protocol_version, 1},
        {ReasonCode::client_identifier_not_valid, 2},
        {ReasonCode::server_unavailable, 3},
        {ReasonCode::server_busy, 3},
        {ReasonCode::quota_exceeded, 3},
        {ReasonCode::bad_user_name_or_password, 4},
        {ReasonCode::not_authorized, 5},
        {ReasonCode::banned, 5},
    };
    for (const auto& [code, expected] : rows) {
        ByteBuffer out;
        encode_connack(out, Version::v3_1_1, {false, code, {}});
        EXPECT_EQ(out, (ByteBuffer{0x20, 2, 0, static_cast<std::uint8_t>(expected)})) << name_of(code);
    }
}

TEST(EncodeConnack, HasNoSessionInARefusal_MQTT_3_2_2_6) {
    for (const Version version : {Version::v3_1_1, Version::v5}) {
        ByteBuffer out;
        encode_connack(out, version, {true, ReasonCode::not_authorized, {}});
        EXPECT_EQ(out[2], 0);
        out.clear();
        encode_connack(out, version, {true, ReasonCode::success, {}});
        EXPECT_EQ(out[2], 1);
    }
    ByteBuffer out;
    encode_connack(out, Version::v3_1, {true, ReasonCode::success, {}});
    EXPECT_EQ(out, hex("20 02 00 00"));
}

}  // namespace
}  // namespace sluice::wire
