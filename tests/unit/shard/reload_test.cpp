// What a reload of [limits] means for clients and sessions that are there.
#include "tests/unit/shard/turn_fixture.hpp"

namespace sluice::shard::test {
namespace {

using wire::PacketType;
using wire::QoS;
using wire::ReasonCode;

class Reload : public TurnByTurn {
  protected:
    void reload(const Limits& limits) {
        shard().post_reload(nullptr, auth::make_allow_all_authorizer(), limits);
        run();
    }
    /// How many of `count` messages its queue takes while it is away and the policy is to refuse.
    int taken(QuietPeer& publisher, int count) {
        const std::uint64_t before = std::as_const(shard()).counters().rejected.get();
        for (int i = 1; i <= count; ++i)
            publisher.publish("t", QoS::at_least_once, static_cast<wire::PacketId>(i));
        run();
        commit();
        publisher.take();
        return count - static_cast<int>(std::as_const(shard()).counters().rejected.get() - before);
    }
};

TEST_F(Reload, TheBoundsOfQueuesHoldForSessionsThatAreThere) {
    {
        QuietPeer subscriber(shard(), "subscriber", persistent);
        subscriber.subscribe("t");
        run();
        commit();
        commit();
        ASSERT_EQ(subscriber.take(), (Types{PacketType::connack, PacketType::suback}));
    }
    QuietPeer publisher(shard(), "publisher");
    run();
    commit();
    EXPECT_EQ(taken(publisher, 4), 4);
    Limits limits;
    limits.queue_messages_max = 6;
    limits.queue_full = QueueFull::reject;
    reload(limits);
    EXPECT_EQ(taken(publisher, 4), 2);
    limits.queue_messages_max = 9;
    reload(limits);
    EXPECT_EQ(taken(publisher, 5), 3);
    limits.queue_bytes_max = 1;
    limits.queue_messages_max = 100;
    reload(limits);
    EXPECT_EQ(taken(publisher, 1), 0);
}

// The bounds of a spool are its route's.
TEST_F(Reload, SpoolsKeepTheirBounds) {
    LinkSpec spec;
    spec.number = 1;
    spec.client_id = "$bridge/plant/0/0";
    core::SubscriptionOptions options;
    options.qos = QoS::at_least_once;
    spec.subscriptions.push_back({"t", options});
    spec.bounds.messages_max = 3;
    spec.bounds.when_full = core::WhenFull::reject;
    class AwayLink final : public Link {
        Delivered deliver(const core::Send&) override { return Delivered::taken; }
        void flush(Now) override {}
        void end(ReasonCode) override {}
    };
    spec.make = [](LinkHost&) { return std::make_unique<AwayLink>(); };
    shard().post_link(std::move(spec));
    QuietPeer publisher(shard(), "publisher");
    run();
    commit();
    Limits limits;
    limits.queue_messages_max = 1;
    reload(limits);
    EXPECT_EQ(taken(publisher, 5), 3);
}

TEST_F(Reload, AClientIsToldWhatIsThenAskedOfIt) {
    QuietPeer client(shard(), "client", persistent);
    run();  // it waits for the disk
    Limits limits;
    limits.packet_bytes_max = 256;
    reload(limits);
    commit();
    ASSERT_EQ(client.take(), Types{PacketType::connack});
    EXPECT_EQ(client.maximum_packet_size, 1U << 20);
    ByteBuffer out;
    const std::string large(1000, 'x');
    wire::encode_publish(
        out, wire::Version::v5,
        {.topic = "t", .payload = as_bytes(large), .qos = QoS::at_least_once, .packet_id = 1});
    client.send(out);
    run();
    EXPECT_EQ(client.take(), Types{PacketType::puback});
}

}  // namespace
}  // namespace sluice::shard::test
