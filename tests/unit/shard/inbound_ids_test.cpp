// QoS 2 from a client: the client, the session and the disk agree on which packet ids are in use.
#include "tests/unit/shard/shard_fixture.hpp"

namespace sluice::shard::test {
namespace {

using wire::PacketType;
using wire::QoS;
using wire::ReasonCode;

class SilentLink final : public Link {
  public:
    Delivered deliver(const core::Send&) override { return Delivered::taken; }
    void flush(Now) override {}
    void end(ReasonCode) override {}
};

void persistent(Admission& admission) {
    admission.clean_start = false;
    admission.session_expiry_interval_s = 3600;
}

/// The reason code of the next packet, which must be of this type.
ReasonCode next_ack(Peer& peer, PacketType type) {
    ReasonCode code = ReasonCode::unspecified_error;
    EXPECT_EQ(peer.next([&](const wire::Frame& frame) {
        const auto ack = wire::decode_ack(wire::Version::v5, type, frame.body);
        ASSERT_TRUE(ack.ok());
        code = ack->code;
    }),
              type);
    return code;
}

void release(Peer& peer, wire::PacketId id) {
    ByteBuffer out;
    wire::encode_ack(out, wire::Version::v5, PacketType::pubrel, {.packet_id = id});
    ASSERT_TRUE(peer.send(out));
    EXPECT_EQ(next_ack(peer, PacketType::pubcomp), ReasonCode::success);
}

// An upstream's spool drops the message long after its id went to the disk.
TEST(InboundIds, ARefusedOneIsForgottenOnDiskBeforeTheAnswer) {
    RunningShard shard({});
    LinkSpec spec;
    spec.number = 1;
    spec.client_id = "$bridge/plant/0/0";
    core::SubscriptionOptions options;
    options.qos = QoS::at_least_once;
    spec.subscriptions.push_back({"up/#", options});
    spec.bounds.messages_max = 1;
    spec.ack_upstream = true;
    spec.make = [](LinkHost&) { return std::make_unique<SilentLink>(); };
    (*shard).post_link(std::move(spec));
    Peer refused(*shard, "refused", persistent), other(*shard, "other");
    ASSERT_TRUE(refused.publish("up/1", "x", QoS::exactly_once, 7));
    ASSERT_TRUE(wait_for([&] { return shard.store().inbound("refused") == std::vector<wire::PacketId>{7}; }));
    ASSERT_TRUE(other.publish("up/2", "x", QoS::at_least_once, 1));
    EXPECT_EQ(next_ack(refused, PacketType::pubrec), ReasonCode::quota_exceeded);
    EXPECT_EQ(shard.store().inbound("refused"), std::vector<wire::PacketId>{});
}

// [MQTT-4.3.3-9]: an error would free the id for the client, and only for the client.
TEST(InboundIds, ARepetitionIsAnsweredAsOneThoughItsTopicIsRefusedNow) {
    RunningShard shard({});
    Peer subscriber(*shard, "subscriber");
    subscriber.subscribe("#", QoS::at_least_once);
    const std::string topic = "a/b/c";
    {
        Peer publisher(*shard, "publisher", persistent);
        ASSERT_TRUE(publisher.publish(topic, "first", QoS::exactly_once, 5));
        EXPECT_EQ(next_ack(publisher, PacketType::pubrec), ReasonCode::success);
    }
    ASSERT_TRUE(subscriber.next_message());
    Limits strict;
    strict.topic_levels_max = 2;
    (*shard).post_reload(nullptr, auth::make_allow_all_authorizer(), strict);
    Peer publisher(*shard, "publisher", persistent);
    ASSERT_TRUE(publisher.publish(topic, "another", QoS::exactly_once, 6));
    EXPECT_EQ(next_ack(publisher, PacketType::pubrec), ReasonCode::topic_name_invalid);
    ASSERT_TRUE(publisher.publish(topic, "first", QoS::exactly_once, 5));
    EXPECT_EQ(next_ack(publisher, PacketType::pubrec), ReasonCode::success);
    release(publisher, 5);
    // The next one under this id is new.
    ASSERT_TRUE(publisher.publish("a/b", "second", QoS::exactly_once, 5));
    EXPECT_EQ(next_ack(publisher, PacketType::pubrec), ReasonCode::success);
    EXPECT_TRUE(subscriber.next_message());
}

}  // namespace
}  // namespace sluice::shard::test
