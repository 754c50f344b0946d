/// The smaller packets, field by field; their malformed forms stand in tests/vectors/wire.
#include <gtest/gtest.h>

#include "tests/support/hex.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"

namespace sluice::wire {
namespace {

using test::hex;

TEST(Connack, ReadsEveryField) {
    const ByteBuffer body = hex("01 00 0b 13 003c 12 0002 'id' 24 01 2a 00");
    // 3 + 5 + 2 + 2 = 12: one byte more than announced
    EXPECT_FALSE(decode_connack(Version::v5, body).ok());
    const ByteBuffer good = hex("01 00 0c 13 003c 12 0002 'id' 24 01 2a 00");
    const auto packet = decode_connack(Version::v5, good);
    ASSERT_TRUE(packet.ok()) << packet.error().what;
    EXPECT_TRUE(packet->session_present);
    EXPECT_EQ(packet->properties.server_keep_alive_s, 60);
    EXPECT_EQ(packet->properties.assigned_client_identifier, "id");
    EXPECT_EQ(packet->properties.maximum_qos, 1);
    EXPECT_EQ(packet->properties.shared_subscription_available, false);
}

TEST(Connack, MapsReturnCodesOfOldVersions) {
    EXPECT_EQ(decode_connack(Version::v3_1_1, hex("00 01"))->code, ReasonCode::unsupported_protocol_version);
    EXPECT_EQ(decode_connack(Version::v3_1, hex("ff 05"))->code, ReasonCode::not_authorized);
}

TEST(Ack, ReadsEveryField) {
    const ByteBuffer body = hex("1234 87 06 1f 0003 'why'");
    const auto packet = decode_ack(Version::v5, PacketType::puback, body);
    ASSERT_TRUE(packet.ok()) << packet.error().what;
    EXPECT_EQ(packet->packet_id, 0x1234);
    EXPECT_EQ(packet->code, ReasonCode::not_authorized);
    EXPECT_EQ(packet->properties.reason_string, "why");
    EXPECT_EQ(decode_ack(Version::v5, PacketType::pubrel, hex("0001"))->code, ReasonCode::success);
}

TEST(Ack, IsAsShortAsItMayBe) {
    ByteBuffer out;
    encode_ack(out, Version::v5, PacketType::puback, {0x1234, ReasonCode::success, {}});
    encode_ack(out, Version::v5, PacketType::pubrec, {0x1234, ReasonCode::quota_exceeded, {}});
    encode_ack(out, Version::v3_1_1, PacketType::pubcomp,
               {0x1234, ReasonCode::packet_identifier_not_found, {}});
    Ack with_reason{1, ReasonCode::success, {}};
    with_reason.properties.reason_string = "r";
    encode_ack(out, Version::v5, PacketType::pubrel, with_reason);
    encode_ack(out, Version::v3_1, PacketType::pubrel, with_reason);
    EXPECT_EQ(out, hex("40 02 1234  50 03 1234 97  70 02 1234  62 08 0001 00 04 1f 0001 'r'  62 02 0001"));
}

TEST(Subscribe, ReadsEveryField) {
    const ByteBuffer body = hex("000a 02 0b 05 0003 'a/b' 2d 0001 '#' 01");
    const auto packet = decode_subscribe(Version::v5, body);
    ASSERT_TRUE(packet.ok()) << packet.error().what;
    EXPECT_EQ(packet->packet_id, 10);
    EXPECT_EQ(packet->properties.subscription_identifiers, std::vector<std::uint32_t>{5});
    ASSERT_EQ(packet->entries.size(), 2U);
    EXPECT_EQ(packet->entries[0].filter, "a/b");
    EXPECT_EQ(packet->entries[0].qos, QoS::at_least_once);
    EXPECT_TRUE(packet->entries[0].no_local);
    EXPECT_TRUE(packet->entries[0].retain_as_published);
    EXPECT_EQ(packet->entries[0].retain_handling, RetainHandling::do_not_send);
    EXPECT_EQ(packet->entries[1].filter, "#");
    EXPECT_FALSE(packet->entries[1].no_local);
    EXPECT_EQ(packet->entries[1].retain_handling, RetainHandling::send);
}

TEST(Subscribe, OldVersionsHaveTheQoSAlone) {
    Subscribe packet{10, {{"a/b", QoS::at_least_once, true, true, RetainHandling::do_not_send}}, {}};
    packet.properties.subscription_identifiers = {5};
    ByteBuffer out;
    encode_subscribe(out, Version::v3_1_1, packet);
    EXPECT_EQ(out, hex("82 08 000a 0003 'a/b' 01"));
}

TEST(Suback, HasOneRefusalBeforeVersion5) {
    const Suback packet{10, {ReasonCode::granted_qos_2, ReasonCode::not_authorized, ReasonCode::success}, {}};
    ByteBuffer out;
    encode_suback(out, Version::v3_1_1, packet);
    encode_suback(out, Version::v5, packet);
    EXPECT_EQ(out, hex("90 05 000a 02 80 00  90 06 000a 00 02 87 00"));
    const auto back = decode_suback(Version::v5, hex("000a 00 02 87 00"));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->codes, packet.codes);
}

TEST(Unsubscribe, KeepsTheOrderOfItsFilters) {
    const ByteBuffer body = hex("000a 00 0001 'b' 0001 'a'");
    const auto packet = decode_unsubscribe(Version::v5, body);
    ASSERT_TRUE(packet.ok());
    EXPECT_EQ(packet->filters, (std::vector<std::string_view>{"b", "a"}));
}

TEST(Unsuback, HasCodesInVersion5Only) {
    const Unsuback packet{10, {ReasonCode::success, ReasonCode::no_subscription_existed}, {}};
    ByteBuffer out;
    encode_unsuback(out, Version::v3_1_1, packet);
    encode_unsuback(out, Version::v5, packet);
    EXPECT_EQ(out, hex("b0 02 000a  b0 05 000a 00 00 11"));
}

TEST(Disconnect, IsAsShortAsItMayBe) {
    ByteBuffer out;
    encode_disconnect(out, Version::v5, {});
    encode_disconnect(out, Version::v5, {ReasonCode::server_shutting_down, {}});
    Disconnect moved{ReasonCode::server_moved, {}};
    moved.properties.server_reference = "b";
    encode_disconnect(out, Version::v5, moved);
    EXPECT_EQ(out, hex("e0 00  e0 01 8b  e0 06 9d 04 1c 0001 'b'"));
}

TEST(Disconnect, OfAServerDoesNotExistBeforeVersion5) {
    ByteBuffer out;
    encode_disconnect(out, Version::v3_1_1, {ReasonCode::server_shutting_down, {}});
    EXPECT_TRUE(out.empty());
    encode_disconnect(out, Version::v3_1_1, {});
    EXPECT_EQ(out, hex("e0 00"));
}

TEST(Auth, ReadsEveryField) {
    const ByteBuffer body = hex("18 09 15 0001 'm' 16 0002 00ff");
    const auto packet = decode_auth(Version::v5, body);
    ASSERT_TRUE(packet.ok()) << packet.error().what;
    EXPECT_EQ(packet->code, ReasonCode::continue_authentication);
    EXPECT_EQ(packet->properties.authentication_method, "m");
    EXPECT_EQ(packet->properties.authentication_data->size(), 2U);
    ByteBuffer out;
    encode_auth(out, *packet);
    EXPECT_EQ(out, hex("f0 0b 18 09 15 0001 'm' 16 0002 00ff"));
}

TEST(Ping, IsTwoBytes) {
    ByteBuffer out;
    encode_pingreq(out);
    encode_pingresp(out);
    EXPECT_EQ(out, hex("c0 00 d0 00"));
}

TEST(EncodeDeathTest, TextsOver65535BytesAreOurOwnMistake) {
    const std::string text(65536, 'x');
    Disconnect packet;
    packet.properties.reason_string = text;
    ByteBuffer out;
    EXPECT_DEATH(encode_disconnect(out, Version::v5, packet), "CHECK failed");
}

}  // namespace
}  // namespace sluice::wire
