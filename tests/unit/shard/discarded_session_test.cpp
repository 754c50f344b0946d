// A session that is thrown away takes with it all that it had asked for.
#include "tests/unit/shard/shard_fixture.hpp"

namespace sluice::shard::test {
namespace {

/// Commits nothing by itself.
class NotingStore final : public store::Store {
  public:
    Result<store::Recovered, std::string> open() override { return store::Recovered{}; }
    void start(store::StoreEvents&) override {}
    void stop() override {}
    void post_batch(store::ShardIndex, store::TurnNumber turn, std::vector<core::LedgerEntry>) override {
        last_turn = turn;
    }
    void post_load_queue(store::ShardIndex, core::SessionKey key, core::RowId, std::size_t,
                         std::size_t) override {
        loads.push_back(key);
    }
    void post_find_oldest(store::ShardIndex, core::SessionKey, core::RowId, std::size_t) override {}
    store::StoreStats stats() const override { return {}; }

    store::TurnNumber last_turn = 0;
    std::vector<core::SessionKey> loads;
};

TEST(DiscardedSession, LeavesNoLoadToTheNextOneInItsPlace) {
    constexpr core::SessionKey key = 256;
    NotingStore store;
    core::RetainedIndex retained(10);
    Shard shard(0, {&store, &retained, auth::make_allow_all_authorizer(), {}, nullptr});
    shard.set_peers({shard.as_peer()});
    shard.set_used(key, 0);
    store::RecoveredSession recovered;
    recovered.record.key = key;
    recovered.record.client_id = "client";
    recovered.record.expiry_interval_s = never_expires;
    recovered.queue_messages = 10;
    recovered.queue_bytes = 100;
    shard.restore(recovered);

    std::vector<int> clients;
    const auto admit = [&](bool clean_start) {
        int fds[2] = {-1, -1};
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        clients.push_back(fds[0]);
        Admission admission;
        admission.channel.fd = fds[1];
        admission.client_id = "client";
        admission.clean_start = clean_start;
        admission.session_expiry_interval_s = clean_start ? 0 : never_expires;
        shard.post_admission(std::move(admission));
    };
    admit(false);
    while (shard.run_ready()) {
    }
    ASSERT_GT(store.last_turn, 0U);
    ASSERT_TRUE(store.loads.empty()) << "CONNACK waits for the commit";
    // In one turn: the old session is there and wants its queue, and is thrown away.
    shard.post_committed(store.last_turn);
    admit(true);
    ASSERT_TRUE(shard.run_ready());
    EXPECT_TRUE(store.loads.empty());
    for (const int fd : clients) ::close(fd);
}

// Whoever knows a client id does not get by it what was kept for another user.
TEST(DiscardedSession, IsOneOfAnotherUser) {
    RunningShard shard({});
    const auto come = [&](const char* user) {
        return std::make_unique<Peer>(*shard, "client", [user](Admission& admission) {
            admission.user_name = user;
            admission.clean_start = false;
            admission.session_expiry_interval_s = 3600;
        });
    };
    come("alice")->subscribe("t", wire::QoS::at_least_once);
    ASSERT_TRUE(wait_for([&] { return shard.counters().connections.get() == 0; }));
    auto peer = come("alice");
    EXPECT_EQ(shard.counters().subscriptions.get(), 1U);
    EXPECT_EQ(shard.counters().sessions_of_others.get(), 0U);
    peer = come("bob");  // while the other is connected
    EXPECT_EQ(shard.counters().subscriptions.get(), 0U);
    EXPECT_EQ(shard.counters().sessions.get(), 1U);
    EXPECT_EQ(shard.counters().sessions_of_others.get(), 1U);
}

}  // namespace
}  // namespace sluice::shard::test
