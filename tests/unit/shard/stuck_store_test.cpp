// The disk does not answer. Whoever has something on it waits; whoever has nothing there is served, though
// its packets come in the same turn as theirs.
#include "tests/unit/shard/turn_fixture.hpp"

namespace sluice::shard::test {
namespace {

using enum wire::PacketType;
using wire::QoS;

class StuckStore : public TurnByTurn {};

TEST_F(StuckStore, WhoHasNothingOnItIsLetIn) {
    QuietPeer durable(shard(), "durable", persistent), passing(shard(), "passing");
    run();
    EXPECT_EQ(passing.take(), Types{connack});
    EXPECT_EQ(durable.take(), Types{});
    commit();
    EXPECT_EQ(durable.take(), Types{connack});
}

TEST_F(StuckStore, WhoseSessionIsToGoFromItWaits) {
    QuietPeer before(shard(), "client", persistent);
    run();
    commit();
    ASSERT_EQ(before.take(), Types{connack});
    before.close();
    run();
    commit();
    QuietPeer client(shard(), "client");  // a clean start
    run();
    EXPECT_EQ(client.take(), Types{}) << "a crash now would bring the old session back";
    commit();
    EXPECT_EQ(client.take(), Types{connack});
}

TEST_F(StuckStore, WhoHasNothingOnItSubscribesAndPublishes) {
    QuietPeer durable(shard(), "durable", persistent), passing(shard(), "passing");
    run();
    commit();
    durable.take();
    passing.take();
    durable.subscribe("theirs");
    passing.subscribe("ours");
    run();
    EXPECT_EQ(passing.take(), Types{suback});
    EXPECT_EQ(durable.take(), Types{});
    commit();
    durable.take();
    durable.publish("theirs", QoS::exactly_once, 1);
    passing.publish("ours/but/nobody", QoS::exactly_once, 1);
    passing.publish("ours/but/nobody", QoS::at_least_once, 2);
    run();
    EXPECT_EQ(passing.take(), (Types{pubrec, puback}));
    EXPECT_EQ(durable.take(), Types{});
    // Both with a PUBLISH of the other in the same turn.
    ByteBuffer release;
    wire::encode_ack(release, wire::Version::v5, pubrel, {.packet_id = 1});
    durable.publish("theirs", QoS::at_least_once, 2);
    passing.send(release);
    run();
    EXPECT_EQ(passing.take(), Types{pubcomp});
    passing.publish("theirs", QoS::at_least_once, 3);
    run();
    EXPECT_EQ(passing.take(), Types{}) << "this one is on its way to the disk";
    commit();
    EXPECT_EQ(passing.take(), Types{puback});
}

// Few packets, but what is to be said of each filter waits with its answer.
TEST_F(StuckStore, LargeSubscriptionsThatWaitForItAreBounded) {
    constexpr int packets = 800;
    wire::Subscribe packet;
    packet.packet_id = 1;
    packet.entries.resize(2000, {.filter = "a", .qos = QoS::at_most_once});
    ByteBuffer all;
    for (int i = 0; i < packets; ++i) wire::encode_subscribe(all, wire::Version::v5, packet);
    QuietPeer durable(shard(), "durable", persistent);
    run();
    commit();
    durable.take();
    std::size_t sent = 0;
    const auto send_all_it_takes = [&] {
        for (std::size_t more = 1; more > 0; sent += more) {
            more = durable.send_some(all, sent);
            run();
        }
    };
    send_all_it_takes();
    EXPECT_LE(shard().counters().packets_received.get(), 60U);
    EXPECT_LT(sent, all.size());
    // Nothing is lost once it answers.
    int answered = 0;
    for (int round = 0; answered < packets && round < 10 * packets; ++round) {
        send_all_it_takes();
        commit();
        for (const wire::PacketType type : durable.take()) answered += type == suback ? 1 : 0;
    }
    EXPECT_EQ(answered, packets);
}

// A client that is read no further because the disk does not take what it publishes, and goes.
TEST(StuckStoreThread, WhoWaitsForItAndGoesIsMissedWithinItsKeepAlive) {
    ByteBuffer all;
    for (wire::PacketId id = 1; id <= 60'000; ++id) {
        wire::encode_publish(all, wire::Version::v3_1_1,
                             {.topic = "t",
                              .payload = as_bytes("x"),
                              .qos = wire::QoS::at_least_once,
                              .retain = true,
                              .packet_id = id});
    }
    HeldStore store;
    core::RetainedIndex retained(100);
    Shard shard(0, SharedParts{&store, &retained, auth::make_allow_all_authorizer(), {}});
    shard.set_peers({shard.as_peer()});
    std::jthread thread([&] { shard.run(); });
    const auto stop = [&](const void*) { shard.post_stop(); };
    const std::unique_ptr<const void, decltype(stop)> stop_at_end(&shard, stop);
    const auto counters = [&]() -> const Counters& { return std::as_const(shard).counters(); };
    Peer client(shard, "client", [](Admission& admission) {
        admission.version = wire::Version::v3_1_1;
        admission.keep_alive_s = 2;
        admission.will = AdmittedWill{core::Message::freeze({.topic = "will"}), 0};
    });
    std::size_t sent = 0;
    ASSERT_TRUE(wait_for([&] {
        const std::size_t more = client.send_some(all, sent);
        sent += more;
        return more == 0 && counters().publishes_received[1].get() >= 1000;
    })) << "never paused";
    client.close();
    EXPECT_TRUE(wait_for([&] { return counters().connections.get() == 0; }));
}

}  // namespace
}  // namespace sluice::shard::test
