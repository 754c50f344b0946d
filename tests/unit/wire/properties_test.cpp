#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "tests/support/any_packet.hpp"
#include "tests/support/hex.hpp"
#include "wire/varint.hpp"

namespace sluice::test {
namespace {

using wire::PacketType;
using wire::ReasonCode;
using wire::Version;

/// Table 2-4 of the specification: identifier, a value, and where it may stand (W: will of a CONNECT).
struct Row {
    std::string name, bytes;
    std::vector<std::string> places;
};
const std::vector<Row> table = {
    {"PayloadFormatIndicator", "01 01", {"PUBLISH", "W"}},
    {"MessageExpiryInterval", "02 00000001", {"PUBLISH", "W"}},
    {"ContentType", "03 0001 'x'", {"PUBLISH", "W"}},
    {"ResponseTopic", "08 0001 'x'", {"PUBLISH", "W"}},
    {"CorrelationData", "09 0001 ff", {"PUBLISH", "W"}},
    {"SubscriptionIdentifier", "0b 8001", {"PUBLISH", "SUBSCRIBE"}},
    {"SessionExpiryInterval", "11 00000001", {"CONNECT", "CONNACK", "DISCONNECT"}},
    {"AssignedClientIdentifier", "12 0001 'x'", {"CONNACK"}},
    {"ServerKeepAlive", "13 0001", {"CONNACK"}},
    {"AuthenticationMethod", "15 0001 'x'", {"CONNECT", "CONNACK", "AUTH"}},
    {"AuthenticationData", "16 0001 ff", {"CONNECT", "CONNACK", "AUTH"}},
    {"RequestProblemInformation", "17 01", {"CONNECT"}},
    {"WillDelayInterval", "18 00000001", {"W"}},
    {"RequestResponseInformation", "19 01", {"CONNECT"}},
    {"ResponseInformation", "1a 0001 'x'", {"CONNACK"}},
    {"ServerReference", "1c 0001 'x'", {"CONNACK", "DISCONNECT"}},
    {"ReasonString",
     "1f 0001 'x'",
     {"CONNACK", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBACK", "UNSUBACK", "DISCONNECT", "AUTH"}},
    {"ReceiveMaximum", "21 0001", {"CONNECT", "CONNACK"}},
    {"TopicAliasMaximum", "22 0001", {"CONNECT", "CONNACK"}},
    {"TopicAlias", "23 0001", {"PUBLISH"}},
    {"MaximumQoS", "24 01", {"CONNACK"}},
    {"RetainAvailable", "25 01", {"CONNACK"}},
    {"UserProperty",
     "26 0001 'x' 0001 'y'",
     {"CONNECT", "CONNACK", "PUBLISH", "W", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK",
      "UNSUBSCRIBE", "UNSUBACK", "DISCONNECT", "AUTH"}},
    {"MaximumPacketSize", "27 00000001", {"CONNECT", "CONNACK"}},
    {"WildcardSubscriptionAvailable", "28 01", {"CONNACK"}},
    {"SubscriptionIdentifierAvailable", "29 01", {"CONNACK"}},
    {"SharedSubscriptionAvailable", "2a 01", {"CONNACK"}},
};

/// A packet of each kind with room for properties: first byte, what stands before them, what stands behind.
struct Carrier {
    PacketType type;
    std::string before, after;
};
const std::map<std::string, Carrier> carriers = {
    {"CONNECT", {PacketType::connect, "0004 'MQTT' 05 02 0000", "0001 'c'"}},
    {"W", {PacketType::connect, "0004 'MQTT' 05 06 0000 00 0001 'c'", "0001 't' 0000"}},
    {"CONNACK", {PacketType::connack, "00 00", ""}},
    {"PUBLISH", {PacketType::publish, "0001 't'", "'payload'"}},
    {"PUBACK", {PacketType::puback, "0001 00", ""}},
    {"PUBREC", {PacketType::pubrec, "0001 00", ""}},
    {"PUBREL", {PacketType::pubrel, "0001 00", ""}},
    {"PUBCOMP", {PacketType::pubcomp, "0001 00", ""}},
    {"SUBSCRIBE", {PacketType::subscribe, "0001", "0001 'f' 00"}},
    {"SUBACK", {PacketType::suback, "0001", "00"}},
    {"UNSUBSCRIBE", {PacketType::unsubscribe, "0001", "0001 'f'"}},
    {"UNSUBACK", {PacketType::unsuback, "0001", "00"}},
    {"DISCONNECT", {PacketType::disconnect, "00", ""}},
    {"AUTH", {PacketType::auth, "00", ""}},
};

/// Decodes the carrier with `run` as its properties.
AnyResult decode_in(const Carrier& carrier, ByteBuffer run) {
    static ByteBuffer body, scratch;  // the result borrows from them until the next call
    body = hex(carrier.before);
    // AUTH needs a method and the method cannot stand twice.
    if (carrier.type == PacketType::auth && (run.empty() || run[0] != 0x15)) append(run, hex("15 0001 'm'"));
    const bool needs_method = carrier.type == PacketType::connect && !run.empty() && run[0] == 0x16;
    if (needs_method) append(run, hex("15 0001 'm'"));
    wire::append_varint(body, run.size());
    append(body, run);
    append(body, hex(carrier.after));
    return decode_any(Version::v5, {carrier.type, 0, body, body.size()}, scratch);
}

TEST(Properties, StandOnlyWhereTheSpecificationAllows) {
    for (const Row& row : table) {
        for (const auto& [place, carrier] : carriers) {
            SCOPED_TRACE(row.name + " in " + place);
            const bool allowed = std::find(row.places.begin(), row.places.end(), place) != row.places.end();
            const AnyResult result = decode_in(carrier, hex(row.bytes));
            EXPECT_EQ(result.ok(), allowed);
            if (!result.ok()) {
                EXPECT_EQ(result.error().code, ReasonCode::malformed_packet);
            }
        }
    }
}

TEST(Properties, ThatAreRepeatedAreAProtocolError) {
    for (const Row& row : table) {
        for (const std::string& place : row.places) {
            SCOPED_TRACE(row.name + " in " + place);
            ByteBuffer twice = hex(row.bytes);
            append(twice, hex(row.bytes));
            const AnyResult result = decode_in(carriers.at(place), twice);
            const bool may_repeat =
                row.name == "UserProperty" || (row.name == "SubscriptionIdentifier" && place == "PUBLISH");
            EXPECT_EQ(result.ok(), may_repeat);
            if (!result.ok()) {
                EXPECT_EQ(result.error().code, ReasonCode::protocol_error);
            }
        }
    }
}

TEST(Properties, CutShortAreMalformed) {
    for (const Row& row : table) {
        const ByteBuffer whole = hex(row.bytes);
        for (std::size_t size = 1; size < whole.size(); ++size) {
            SCOPED_TRACE(row.name + " after byte " + std::to_string(size));
            const auto result = decode_in(carriers.at(row.places[0]),
                                          {whole.begin(), whole.begin() + static_cast<int>(size)});
            ASSERT_FALSE(result.ok());
            EXPECT_EQ(result.error().code, ReasonCode::malformed_packet);
        }
    }
}

TEST(Properties, RunsAreDecodedAndEncodedAlone) {
    const ByteBuffer run = hex("01 01 03 0004 'json' 26 0001 'a' 0001 'b' 26 0001 'a' 0001 'c'");
    const auto properties = wire::decode_publish_properties(run);
    ASSERT_TRUE(properties.ok());
    EXPECT_EQ(properties->content_type, "json");
    ASSERT_EQ(properties->user_properties.size(), 2U);
    EXPECT_EQ(properties->user_properties[1].value, "c");
    ByteBuffer out;
    wire::encode_property_run(out, *properties);
    EXPECT_EQ(out, run);
    EXPECT_TRUE(wire::decode_publish_properties({}).ok());
    EXPECT_FALSE(wire::decode_publish_properties(hex("11 00000001")).ok());
}

// Table 1-1 of the specification: the first and last value of each size.
TEST(Varint, HasTheBytesOfTheSpecificationsTable) {
    const std::vector<std::pair<std::uint32_t, std::string>> rows = {
        {0, "00"},
        {127, "7f"},
        {128, "80 01"},
        {16'383, "ff 7f"},
        {16'384, "80 80 01"},
        {2'097'151, "ff ff 7f"},
        {2'097'152, "80 80 80 01"},
        {268'435'455, "ff ff ff 7f"},
        {321, "c1 02"},
    };
    for (const auto& [value, bytes] : rows) {
        ByteBuffer out;
        wire::append_varint(out, value);
        EXPECT_EQ(out, hex(bytes)) << value;
        EXPECT_EQ(wire::varint_bytes(value), out.size());
        const wire::Varint back = wire::read_varint(out);
        EXPECT_EQ(back.state, wire::VarintState::complete);
        EXPECT_EQ(back.value, value);
        EXPECT_EQ(back.size_bytes, out.size());
    }
}

TEST(Varint, LongerThanNeedBeIsMalformed_MQTT_1_5_5_1) {
    for (const char* bytes : {"80 00", "ff 00", "80 80 00", "ff ff ff 80", "80 80 80 80 01", "ff ff ff 00"}) {
        EXPECT_EQ(wire::read_varint(hex(bytes)).state, wire::VarintState::malformed) << bytes;
    }
    for (const char* bytes : {"", "80", "ff ff", "ff ff ff"}) {
        EXPECT_EQ(wire::read_varint(hex(bytes)).state, wire::VarintState::incomplete) << bytes;
    }
}

}  // namespace
}  // namespace sluice::test
