// Retained messages leave as fast as the client takes them, and mail is opened a portion at a time: who reads
// loses nothing.
#include <map>

#include "tests/unit/shard/shard_fixture.hpp"

namespace sluice::shard::test {
namespace {

using wire::PacketType;
using wire::QoS;

constexpr int count = 400;

class RetainedRun : public testing::Test {
  protected:
    static Limits limits() {
        Limits limits;
        limits.write_buffer_bytes_max = 1 << 20;
        return limits;
    }
    void retain_all() {
        const std::string payload(100'000, 'x');
        for (int i = 0; i < count; ++i) {
            const std::string topic = "r/" + std::to_string(i);
            (void)shard_.retained().set(
                core::Message::freeze({.topic = topic, .payload = as_bytes(payload), .retain = true}));
        }
    }
    static ByteBuffer subscribe() {
        wire::Subscribe packet;
        packet.packet_id = 1;
        packet.entries.push_back({.filter = "r/#", .qos = QoS::at_least_once});
        ByteBuffer out;
        wire::encode_subscribe(out, wire::Version::v5, packet);
        return out;
    }
    std::uint64_t congested() const {
        return shard_.counters().drops[static_cast<std::size_t>(core::DropReason::congested_qos0)].get();
    }
    RunningShard shard_{limits()};
};

TEST_F(RetainedRun, WhoReadsGetsThemAll) {
    retain_all();
    Peer reader(*shard_, "reader");
    reader.subscribe("r/#", QoS::at_most_once);
    for (int i = 0; i < count; ++i) ASSERT_TRUE(reader.next_message()) << i;
    EXPECT_EQ(congested(), 0U);
}

TEST_F(RetainedRun, NothingNewerOfATopicOvertakesIt) {
    retain_all();
    Peer reader(*shard_, "reader"), publisher(*shard_, "publisher");
    ASSERT_TRUE(reader.send(subscribe()));
    // It does not read yet: most of them wait.
    ASSERT_TRUE(wait_for([&] { return shard_.counters().publishes_sent[0].get() > 0; }));
    const auto topic = [](int i) { return "r/" + std::to_string(i); };
    for (int i = 0; i < count; i += 80) {
        ASSERT_TRUE(publisher.publish(topic(i), "new", QoS::at_least_once, 1));
        ASSERT_EQ(publisher.next(), PacketType::puback);
    }
    ASSERT_LT(shard_.counters().publishes_sent[0].get(), 100U) << "nothing was left to be overtaken";
    ASSERT_EQ(reader.next(), PacketType::suback);
    std::map<std::string, std::string> seen;  // per topic: R and N in their order
    for (int i = 0; i < count + 5; ++i) {
        wire::PacketId id = 0;
        ASSERT_EQ(reader.next([&](const wire::Frame& frame) {
            ByteBuffer scratch;
            const auto got = wire::decode_publish(wire::Version::v5, frame.flags, frame.body, scratch);
            ASSERT_TRUE(got.ok());
            seen[std::string(got->topic)] += got->retain ? "R" : "N";
            id = got->packet_id;
        }),
                  PacketType::publish)
            << i;
        if (id != 0) reader.ack(id);
    }
    for (int i = 0; i < count; ++i) EXPECT_EQ(seen[topic(i)], i % 80 == 0 ? "RN" : "R") << topic(i);
    EXPECT_EQ(congested(), 0U);
}

TEST_F(RetainedRun, EndsWithItsSession) {
    retain_all();
    {
        Peer reader(*shard_, "reader");
        ASSERT_TRUE(reader.send(subscribe()));
        ASSERT_TRUE(wait_for([&] { return shard_.counters().publishes_sent[0].get() > 0; }));
    }
    ASSERT_TRUE(wait_for([&] { return shard_.counters().sessions.get() == 0; }));
    Peer next(*shard_, "next"), publisher(*shard_, "publisher");
    next.subscribe("t", QoS::at_most_once);
    ASSERT_TRUE(publisher.publish("t", "x"));
    ASSERT_EQ(next.next(), PacketType::publish);
    EXPECT_LT(shard_.counters().publishes_sent[0].get(), 100U);
}

TEST_F(RetainedRun, AnUnsubscribedFilterSendsNoMore) {
    retain_all();
    Peer reader(*shard_, "reader");
    ASSERT_TRUE(reader.send(subscribe()));
    ASSERT_TRUE(wait_for([&] { return shard_.counters().publishes_sent[0].get() > 0; }));
    wire::Unsubscribe packet;
    packet.packet_id = 2;
    packet.filters = {"r/#"};
    ByteBuffer out;
    wire::encode_unsubscribe(out, wire::Version::v5, packet);
    ASSERT_TRUE(reader.send(out));
    ASSERT_TRUE(wait_for([&] { return shard_.counters().subscriptions.get() == 0; }));
    const auto before = shard_.counters().publishes_sent[0].get();
    ASSERT_LT(before, 100U);
    ASSERT_EQ(reader.next(), PacketType::suback);
    std::uint64_t messages = 0;
    std::optional<PacketType> type;
    while ((type = reader.next()) == PacketType::publish) ++messages;
    EXPECT_EQ(type, PacketType::unsuback);
    EXPECT_EQ(messages, before);
}

// A stall may leave tens of thousands of letters: sockets and the store have a turn in between.
TEST(Mail, IsOpenedAPortionAtATime) {
    InstantStore store;
    core::RetainedIndex retained(10);
    Shard shard(0, {&store, &retained, auth::make_allow_all_authorizer(), {}, nullptr});
    store.shard = &shard;
    shard.set_peers({shard.as_peer()});
    const auto pings = [&] { return std::as_const(shard).counters().pings.get(); };
    for (int i = 0; i < 2500; ++i) shard.post_ping();
    for (const std::uint64_t opened : {1000U, 2000U, 2500U}) {
        ASSERT_TRUE(shard.run_ready());
        EXPECT_EQ(pings(), opened);
        if (opened == 1000) shard.post_ping();
    }
    while (shard.run_ready()) {
    }
    EXPECT_EQ(pings(), 2501U);
}

}  // namespace
}  // namespace sluice::shard::test
