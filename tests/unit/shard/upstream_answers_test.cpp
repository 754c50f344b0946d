// ack = "upstream": publishers wait for what becomes of their message behind a lane. Whoever is refused may
// end, with a will that is published at once; nothing that is under way may notice.
#include "tests/unit/shard/shard_fixture.hpp"

namespace sluice::shard::test {
namespace {

using wire::PacketType;
using wire::QoS;
using wire::Version;

/// An upstream that is never there: its spool fills.
class SilentLink final : public Link {
  public:
    Delivered deliver(const core::Send&) override { return Delivered::taken; }
    void flush(Now) override {}
    void end(wire::ReasonCode) override {}
};

class UpstreamAnswers : public testing::Test {
  protected:
    static Limits limits() {
        Limits limits;
        limits.upstream_ack_timeout = std::chrono::seconds(1);
        return limits;
    }
    /// Nobody is told before an hour is over, but for another reason.
    void wait_long() {
        Limits limits;
        limits.upstream_ack_timeout = std::chrono::hours(1);
        (*shard_).post_reload(nullptr, auth::make_allow_all_authorizer(), limits);
    }
    static std::optional<wire::ReasonCode> next_puback(Peer& peer) {
        std::optional<wire::ReasonCode> code;
        EXPECT_EQ(peer.next([&](const wire::Frame& frame) {
            const auto ack = wire::decode_ack(Version::v5, PacketType::puback, frame.body);
            if (ack) code = ack->code;
        }),
                  PacketType::puback);
        return code;
    }
    void add_lane(std::size_t messages_max, LinkNumber number = 1, bool ack_upstream = true) {
        LinkSpec spec;
        spec.number = number;
        spec.client_id = "$bridge/plant/0/0";
        core::SubscriptionOptions options;
        options.qos = QoS::at_least_once;
        spec.subscriptions.push_back({"up/#", options});
        spec.bounds.messages_max = messages_max;
        spec.bounds.when_full = core::WhenFull::drop_oldest;
        spec.ack_upstream = ack_upstream;
        spec.make = [](LinkHost&) { return std::make_unique<SilentLink>(); };
        (*shard_).post_link(std::move(spec));
    }
    /// 3.1.1 has no negative PUBACK: who is refused is disconnected.
    static void old_with_will(Admission& admission, std::string_view topic) {
        admission.version = Version::v3_1_1;
        admission.will = AdmittedWill{
            core::Message::freeze(
                {.topic = topic, .payload = as_bytes(std::string_view("will")), .qos = QoS::at_least_once}),
            0};
    }
    static void publish_old(Peer& peer, std::string_view topic) {
        ByteBuffer out;
        wire::encode_publish(out, Version::v3_1_1,
                             {.topic = topic, .qos = QoS::at_least_once, .packet_id = 1});
        ASSERT_TRUE(peer.send(out));
    }
    RunningShard shard_{limits()};
};

TEST_F(UpstreamAnswers, WhoIsDroppedByTheNextMessageEndsBehindIt) {
    add_lane(1);
    // In this order in the tree's answer: the lane, the publisher that ends, the one that watches.
    Peer ends(*shard_, "ends", [](Admission& a) { old_with_will(a, "will/topic"); });
    Peer watcher(*shard_, "watcher"), publisher(*shard_, "publisher");
    ByteBuffer subscribe;
    wire::Subscribe packet;
    packet.packet_id = 1;
    packet.entries.push_back({.filter = "up/second", .qos = QoS::at_most_once});
    wire::encode_subscribe(subscribe, Version::v3_1_1, packet);
    ASSERT_TRUE(ends.send(subscribe));
    ASSERT_EQ(ends.next(), PacketType::suback);
    watcher.subscribe("#", QoS::at_least_once);

    publish_old(ends, "up/first");
    ASSERT_TRUE(watcher.next_message());
    ASSERT_TRUE(publisher.publish("up/second", "x", QoS::at_least_once, 1));
    std::vector<std::string> topics;
    for (int i = 0; i < 2; ++i) {
        wire::PacketId id = 0;
        ASSERT_EQ(watcher.next([&](const wire::Frame& frame) {
            ByteBuffer scratch;
            const auto got = wire::decode_publish(Version::v5, frame.flags, frame.body, scratch);
            ASSERT_TRUE(got.ok());
            topics.emplace_back(got->topic);
            id = got->packet_id;
        }),
                  PacketType::publish);
        watcher.ack(id);
    }
    EXPECT_EQ(topics, (std::vector<std::string>{"up/second", "will/topic"}));
    EXPECT_EQ(ends.next(), PacketType::publish) << "the message went to all before anybody ended";
    EXPECT_EQ(ends.next(), std::nullopt);
}

TEST_F(UpstreamAnswers, WhoGivesUpWaitingMayPushOutOthersThatWait) {
    add_lane(2);
    Peer first(*shard_, "first", [](Admission& a) { old_with_will(a, "up/will"); });
    Peer second(*shard_, "second", [](Admission& a) { old_with_will(a, "up/will"); });
    Peer watcher(*shard_, "watcher");
    watcher.subscribe("#", QoS::at_least_once);
    publish_old(first, "up/1");
    publish_old(second, "up/2");
    // Two messages; after a second without an upstream two wills, which push them out of the spool.
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(watcher.next_message()) << i;
    EXPECT_EQ(first.next(), std::nullopt);
    EXPECT_EQ(second.next(), std::nullopt);
    EXPECT_TRUE(wait_for([&] { return shard_.counters().connections.get() == 1; }));
}

TEST_F(UpstreamAnswers, NobodyWaitsForALaneThatIsTakenAway) {
    wait_long();
    add_lane(10);
    Peer publisher(*shard_, "publisher"), other(*shard_, "other");
    ASSERT_TRUE(publisher.publish("up/1", "x", QoS::at_least_once, 1));
    ASSERT_TRUE(other.publish("up/2", "x", QoS::at_least_once, 1));
    ASSERT_TRUE(wait_for([&] { return shard_.counters().publishes_received[1].get() == 2; }));
    (*shard_).post_remove_link(1);
    EXPECT_EQ(next_puback(publisher), wire::ReasonCode::implementation_specific_error);
    EXPECT_EQ(next_puback(other), wire::ReasonCode::implementation_specific_error);
    // Its session is still there and takes messages, for which nobody waits.
    ASSERT_TRUE(publisher.publish("up/3", "x", QoS::at_least_once, 2));
    EXPECT_EQ(next_puback(publisher), wire::ReasonCode::success);
}

TEST_F(UpstreamAnswers, WhoWaitsForALaneWaitsForTheOneInItsPlace) {
    wait_long();
    add_lane(1);
    Peer publisher(*shard_, "publisher"), other(*shard_, "other");
    ASSERT_TRUE(publisher.publish("up/1", "x", QoS::at_least_once, 1));
    ASSERT_TRUE(wait_for([&] { return shard_.counters().publishes_received[1].get() == 1; }));
    add_lane(1, 2);
    (*shard_).post_remove_link(1);  // that number is nobody's by now
    // It is known to wait still: the next message pushes the first one out of the spool, and tells so.
    ASSERT_TRUE(other.publish("up/2", "x", QoS::at_least_once, 1));
    EXPECT_EQ(next_puback(publisher), wire::ReasonCode::quota_exceeded);
    // The one in its place does not let anybody wait.
    add_lane(1, 3, false);
    EXPECT_EQ(next_puback(other), wire::ReasonCode::implementation_specific_error);
}

}  // namespace
}  // namespace sluice::shard::test
