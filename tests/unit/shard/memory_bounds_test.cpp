// limits.memory_max, for what no queue policy bounds: what has come to stay, newcomers, unfinished packets,
// windows of queues that are read back.
#include "base/memory_gauge.hpp"
#include "tests/unit/shard/turn_fixture.hpp"

namespace sluice::shard::test {
namespace {

using wire::PacketType;
using wire::QoS;
using wire::ReasonCode;

constexpr std::uint64_t mib = 1 << 20;

Limits with_budget() {
    Limits limits;
    limits.memory_max = memory_gauge::total() + 16 * mib;
    return limits;
}
std::uint64_t refused(const Counters& counters, Refusal reason) {
    return counters.refusals[static_cast<std::size_t>(reason)].get();
}

class Newcomers : public TurnByTurn {
  protected:
    Newcomers() : TurnByTurn(1, with_budget()) {}
    ReasonCode connect(
        const std::string& id, const std::function<void(Admission&)>& change = [](Admission&) {}) {
        QuietPeer peer(shard(), id, change);
        run();
        commit();
        EXPECT_EQ(peer.take().front(), PacketType::connack);
        return peer.connack_code;
    }
    std::uint64_t without_memory() { return shard().counters().connections_without_memory.get(); }
};

TEST_F(Newcomers, AreRefusedWhileMemoryIsFullButForThoseWhoTakeOver) {
    QuietPeer old(shard(), "old");
    run();
    old.take();
    memory_gauge::Foreign ballast;
    ballast.set(17 * mib);
    shard().post_ping();
    EXPECT_EQ(connect("new"), ReasonCode::server_busy);
    EXPECT_EQ(without_memory(), 1U);
    EXPECT_EQ(connect("old"), ReasonCode::success);
    ballast.set(0);
    EXPECT_TRUE(wait_for([&] { return connect("new") == ReasonCode::success; }));
}

TEST_F(Newcomers, SessionsAndWillsTakeHalfOfTheBudgetAtMost) {
    memory_gauge::Kept others;
    others.set(*shard().limits().memory_max / 2 - 50'000);
    const auto with_will = [](std::size_t bytes) {
        return [bytes](Admission& admission) {
            const std::string payload(bytes, 'x');
            admission.will =
                AdmittedWill{core::Message::freeze({.topic = "will", .payload = as_bytes(payload)}), 0};
        };
    };
    EXPECT_EQ(connect("small", with_will(10'000)), ReasonCode::success);
    run();  // its will was published, and the room is free again
    EXPECT_EQ(connect("large", with_will(60'000)), ReasonCode::quota_exceeded);
    EXPECT_EQ(connect("early", persistent), ReasonCode::success);
    others.set(*shard().limits().memory_max / 2);
    EXPECT_EQ(connect("late"), ReasonCode::server_busy);
    EXPECT_EQ(connect("early", persistent), ReasonCode::success) << "its session is there";
    EXPECT_EQ(without_memory(), 2U);
}

TEST_F(Newcomers, RetainedMessagesAreLookedUpWhenThereIsMemoryAgain) {
    (void)retained_.set(
        core::Message::freeze({.topic = "r/1", .payload = as_bytes(std::string_view("x")), .retain = true}));
    QuietPeer peer(shard(), "peer", persistent);
    run();
    commit();
    peer.take();
    peer.subscribe("r/#");
    run();  // it is accepted, and waits for its commit
    memory_gauge::Foreign ballast;
    ballast.set(17 * mib);
    ASSERT_TRUE(wait_for([&] {
        shard().post_ping();
        run();
        return shard().memory_level() == MemoryWatch::Level::full;
    }));
    commit();
    EXPECT_EQ(peer.take(), Types{PacketType::suback});
    ballast.set(0);
    Types later;
    EXPECT_TRUE(wait_for([&] {
        run();
        later = peer.take();
        return !later.empty();
    }));
    EXPECT_EQ(later, Types{PacketType::publish});
}

class Kept : public testing::Test {
  protected:
    std::uint64_t budget() { return *(*shard_).limits().memory_max; }
    /// The code of the next packet, which is DISCONNECT, or SUBACK with one filter.
    static ReasonCode code_of_next(Peer& peer) {
        ReasonCode code = ReasonCode::unspecified_error;
        (void)peer.next([&](const wire::Frame& frame) {
            if (frame.type == PacketType::disconnect)
                code = wire::decode_disconnect(wire::Version::v5, frame.body)->code;
            if (frame.type == PacketType::suback)
                code = wire::decode_suback(wire::Version::v5, frame.body)->codes.front();
        });
        return code;
    }
    ReasonCode subscribe(Peer& peer, const std::string& filter) {
        wire::Subscribe packet;
        packet.packet_id = 1;
        packet.entries.push_back({.filter = filter});
        ByteBuffer out;
        wire::encode_subscribe(out, wire::Version::v5, packet);
        EXPECT_TRUE(peer.send(out));
        return code_of_next(peer);
    }
    void retain(Peer& peer, std::string_view topic, std::string_view payload) {
        ByteBuffer out;
        wire::encode_publish(out, wire::Version::v5,
                             {.topic = topic,
                              .payload = as_bytes(payload),
                              .qos = QoS::at_least_once,
                              .retain = true,
                              .packet_id = 1});
        EXPECT_TRUE(peer.send(out));
        EXPECT_EQ(peer.next(), PacketType::puback);
    }
    std::string retained(std::string_view topic) {
        const core::MessagePtr message = shard_.retained().find(topic);
        return message ? std::string(as_text(message->payload())) : "none";
    }
    RunningShard shard_{with_budget()};
};

TEST_F(Kept, SubscriptionsTakeHalfOfTheBudgetAtMost) {
    Peer client(*shard_, "client");
    EXPECT_EQ(subscribe(client, "a"), ReasonCode::success);
    memory_gauge::Kept others;
    others.set(budget() / 2);
    EXPECT_EQ(subscribe(client, "b"), ReasonCode::quota_exceeded);
    EXPECT_EQ(refused(shard_.counters(), Refusal::memory), 1U);
    EXPECT_EQ(subscribe(client, "a"), ReasonCode::success) << "it is there already";
}

TEST_F(Kept, WhatASessionKeepsIsCountedAndGoesWithIt) {
    const auto before = memory_gauge::kept();
    {
        Peer client(*shard_, "client");
        const auto session = memory_gauge::kept();
        EXPECT_GT(session, before);
        EXPECT_EQ(subscribe(client, std::string(1000, 'x')), ReasonCode::success);
        EXPECT_GT(memory_gauge::kept(), session + 1000);
        wire::Unsubscribe packet;
        packet.packet_id = 1;
        const std::string filter(1000, 'x');
        packet.filters.push_back(filter);
        ByteBuffer out;
        wire::encode_unsubscribe(out, wire::Version::v5, packet);
        EXPECT_TRUE(client.send(out));
        EXPECT_EQ(client.next(), PacketType::unsuback);
        EXPECT_EQ(memory_gauge::kept(), session);
    }
    EXPECT_TRUE(wait_for([&] { return memory_gauge::kept() == before; }));
}

TEST_F(Kept, RetainedMessagesTakeAQuarterOfTheBudgetAtMost) {
    Peer client(*shard_, "client");
    retain(client, "there", "old");
    EXPECT_GT(memory_gauge::retained(), 0U);
    memory_gauge::Retained others;
    others.set(budget() / 4);
    retain(client, "new", "value");
    EXPECT_EQ(retained("new"), "none");
    EXPECT_EQ(shard_.counters().rejected.get(), 1U);
    retain(client, "there", std::string(100, 'x'));
    EXPECT_EQ(retained("there"), std::string(100, 'x')) << "a new value of what is there";
    others.set(budget() / 8 * 3);
    retain(client, "there", std::string(10'000, 'x'));
    EXPECT_EQ(retained("there"), std::string(100, 'x'));
    retain(client, "there", "no larger");
    EXPECT_EQ(retained("there"), "no larger");
    retain(client, "there", "");
    EXPECT_EQ(retained("there"), "none");
}

TEST_F(Kept, LongTopicAliasesTakeHalfOfTheBudgetAtMost) {
    Peer client(*shard_, "client");
    const auto set_alias = [&](std::uint16_t alias, std::size_t topic_bytes) {
        const std::string topic(topic_bytes, 'x');
        wire::Publish packet{.topic = topic};
        packet.properties.topic_alias = alias;
        ByteBuffer out;
        wire::encode_publish(out, wire::Version::v5, packet);
        EXPECT_TRUE(client.send(out));
    };
    const auto before = memory_gauge::kept();
    set_alias(1, 50'000);
    EXPECT_TRUE(wait_for([&] { return memory_gauge::kept() > before + 49'000; }));
    set_alias(1, 100);
    EXPECT_TRUE(wait_for([&] { return memory_gauge::kept() < before + 1000; }));
    memory_gauge::Kept others;
    others.set(budget() / 2);
    set_alias(2, 200);
    set_alias(3, 1000);
    EXPECT_EQ(code_of_next(client), ReasonCode::quota_exceeded);
}

TEST_F(Kept, OfManyUnfinishedPacketsTheLargestIsGivenUp) {
    const auto begin_packet = [](Peer& peer, std::size_t bytes) {
        ByteBuffer begun{0x30, 0xFF, 0xFF, 0x1F};
        begun.resize(bytes, 0);
        EXPECT_TRUE(peer.send(begun));
    };
    std::vector<std::unique_ptr<Peer>> peers;
    for (int i = 0; i < 4; ++i) peers.push_back(std::make_unique<Peer>(*shard_, std::to_string(i)));
    begin_packet(*peers[0], 300'000);
    begin_packet(*peers[1], 400'000);
    EXPECT_TRUE(wait_for([&] { return memory_gauge::unfinished() == 700'000; }));
    memory_gauge::Unfinished others;
    others.set(budget() / 4 - 700'000);
    std::thread third([&] { begin_packet(*peers[2], 200'000); });
    // Who waits for room cannot be asked to go on; those who came before are not asked to go.
    EXPECT_EQ(code_of_next(*peers[2]), ReasonCode::quota_exceeded);
    third.join();
    EXPECT_TRUE(wait_for([&] { return shard_.counters().connections.get() == 3; }));
    EXPECT_EQ(shard_.counters().ended_for_memory.get(), 1U);
    EXPECT_TRUE(wait_for([&] { return memory_gauge::unfinished() == budget() / 4; }));
}

/// A store that is asked for windows and does not answer.
class CountingStore final : public store::Store {
  public:
    Result<store::Recovered, std::string> open() override { return store::Recovered{}; }
    void start(store::StoreEvents&) override {}
    void stop() override {}
    void post_batch(store::ShardIndex, store::TurnNumber turn, std::vector<core::LedgerEntry>) override {
        last_turn = turn;
    }
    void post_load_queue(store::ShardIndex, core::SessionKey key, core::RowId, std::size_t,
                         std::size_t bytes_max) override {
        loads.emplace_back(key, bytes_max);
    }
    void post_find_oldest(store::ShardIndex, core::SessionKey, core::RowId, std::size_t) override {}
    store::StoreStats stats() const override { return {}; }

    store::TurnNumber last_turn = 0;
    std::vector<std::pair<core::SessionKey, std::size_t>> loads;
};

class Windows : public testing::Test {
  protected:
    static constexpr int sessions = 30;

    /// All of them have a backlog on disk and nobody connected.
    Windows() {
        shard_.set_peers({shard_.as_peer()});
        for (core::SessionKey key = 1; key <= sessions; ++key) {
            store::RecoveredSession recovered;
            recovered.record.key = key * 256;
            recovered.record.client_id = "client" + std::to_string(key);
            recovered.record.expiry_interval_s = 3600;
            recovered.progress.session = key * 256;
            recovered.queue_messages = 1000;
            recovered.queue_bytes = 1000 * 1000;
            shard_.restore(recovered);
        }
    }
    ~Windows() override {
        shard_.post_stop();
        run();
    }
    void run() {
        while (shard_.run_ready()) {
        }
    }
    void all_come() {
        for (int i = 1; i <= sessions; ++i)
            peers_.push_back(std::make_unique<QuietPeer>(shard_, "client" + std::to_string(i), persistent));
        run();
        shard_.post_committed(store_.last_turn);
        run();
    }

    CountingStore store_;
    core::RetainedIndex retained_{100};
    Shard shard_{0, SharedParts{&store_, &retained_, auth::make_allow_all_authorizer(), with_budget()}};
    std::vector<std::unique_ptr<QuietPeer>> peers_;
};

TEST_F(Windows, AreReadBackAFewAtATime) {
    all_come();
    EXPECT_EQ(store_.loads.size(), 2U) << "together a sixteenth of the budget";
    for (std::size_t answered = 0; answered < sessions; ++answered) {
        ASSERT_LT(answered, store_.loads.size());
        shard_.post_queue_loaded(store_.loads[answered].first, {}, true);
        run();
    }
    EXPECT_EQ(store_.loads.size(), std::size_t{sessions});
}

TEST_F(Windows, AreSmallInASmallBudget) {
    all_come();
    EXPECT_EQ(store_.loads.front().second, std::max<std::size_t>(*shard_.limits().memory_max / 32, 65536));
}

}  // namespace
}  // namespace sluice::shard::test
