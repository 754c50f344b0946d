// limits.connections_max counts the clients of all shards, exactly.
#include "tests/unit/shard/turn_fixture.hpp"

namespace sluice::shard::test {
namespace {

using wire::PacketType;
using wire::ReasonCode;

class Places : public TurnByTurn {
  protected:
    static Limits two_at_most() {
        Limits limits;
        limits.connections_max = 2;
        return limits;
    }
    Places() : TurnByTurn(2, two_at_most()) {}

    std::uint64_t connections() const {
        std::uint64_t sum = 0;
        for (const auto& one : shards_) sum += std::as_const(*one).counters().connections.get();
        return sum;
    }
};

TEST_F(Places, ABurstDoesNotOvershoot) {
    std::vector<std::unique_ptr<QuietPeer>> peers;
    for (std::size_t i = 0; i < 6; ++i)
        peers.push_back(std::make_unique<QuietPeer>(shard(i % 2), "client" + std::to_string(i)));
    run();
    std::size_t in = 0;
    for (auto& peer : peers) {
        ASSERT_EQ(peer->take(), Types{PacketType::connack});
        if (peer->connack_code == ReasonCode::success)
            ++in;
        else
            EXPECT_EQ(peer->connack_code, ReasonCode::server_busy);
    }
    EXPECT_EQ(in, 2U);
    EXPECT_EQ(connections(), 2U);
    EXPECT_EQ(shard(0).counters().connections_refused.get() + shard(1).counters().connections_refused.get(),
              4U);
}

// Its old connection may be dead; nothing but the new one will tell.
TEST_F(Places, AClientTakesOverItsOwnWhenAllAreTaken) {
    QuietPeer old(shard(0), "client", persistent), other(shard(1), "other");
    run();
    commit();
    ASSERT_EQ(old.take(), Types{PacketType::connack});
    for (int i = 0; i < 3; ++i) {
        QuietPeer again(shard(0), "client", persistent);
        run();
        commit();
        EXPECT_EQ(again.take(), Types{PacketType::connack});
        EXPECT_EQ(again.connack_code, ReasonCode::success);
        EXPECT_EQ(connections(), 2U);
        QuietPeer third(shard(1), "third");
        run();
        third.take();
        EXPECT_EQ(third.connack_code, ReasonCode::server_busy);
    }
    EXPECT_EQ(old.take(), Types{PacketType::disconnect});
}

TEST_F(Places, APlaceIsFreeAgainHoweverItWasLeft) {
    for (int round = 0; round < 3; ++round) {
        QuietPeer a(shard(0), "a"), b(shard(1), "b", persistent);
        run();
        commit();
        a.take();
        b.take();
        EXPECT_EQ(a.connack_code, ReasonCode::success) << round;
        EXPECT_EQ(b.connack_code, ReasonCode::success) << round;
        ByteBuffer bye;
        if (round == 0) wire::encode_disconnect(bye, wire::Version::v5, {});
        if (round == 1) bye = {0x00, 0x00};  // no packet at all
        if (!bye.empty()) a.send(bye);
        if (round == 2) a.close();
        b.close();
        run();
        commit();
        EXPECT_EQ(connections(), 0U) << round;
    }
}

}  // namespace
}  // namespace sluice::shard::test
