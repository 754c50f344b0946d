/// What every Store promises; each implementation runs the whole of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "store_fixture.hpp"
#include "store_script.hpp"

namespace sluice::store::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(StoreContract, a_new_store_is_empty) {
    EXPECT_THAT(recovered_.sessions, IsEmpty());
    EXPECT_THAT(recovered_.retained, IsEmpty());
    EXPECT_EQ(recovered_.row_max, 0U);
    EXPECT_EQ(recovered_.session_key_max, 0U);
}

TEST_P(StoreContract, has_an_id_of_its_own_for_ever) {
    const std::uint64_t id = recovered_.id;
    EXPECT_NE(id, 0U);
    reopen();
    EXPECT_EQ(recovered_.id, id);
}

TEST_P(StoreContract, an_empty_batch_is_committed) {
    post_and_wait({});
    EXPECT_THAT(observer_->committed(0), ElementsAre(1U));
}

TEST_P(StoreContract, a_queue_is_read_in_order_a_window_at_a_time) {
    Batch entries = batch(save_session(s1));
    for (std::uint64_t i = 1; i <= 600; ++i)
        entries.emplace_back(append(row_id(i), std::to_string(i), {target(s1)}));
    post_and_wait(std::move(entries));
    std::vector<RowId> seen;
    Loaded window;
    do {
        window = load(s1, seen.empty() ? 0 : seen.back(), 50);
        EXPECT_LE(window.entries.size(), 50U);
        for (const auto& entry : window.entries) {
            EXPECT_EQ(payload_of(entry.message), std::to_string(entry.row / 256));
            seen.push_back(entry.row);
        }
    } while (!window.exhausted && !window.entries.empty());
    ASSERT_EQ(seen.size(), 600U);
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    EXPECT_TRUE(load(s1, seen.back()).exhausted);
}

TEST_P(StoreContract, exhausted_tells_whether_more_is_behind) {
    post_and_wait(
        batch(save_session(s1), append(row_id(1), "1", {target(s1)}), append(row_id(2), "2", {target(s1)})));
    EXPECT_FALSE(load(s1, 0, 1).exhausted);
    EXPECT_TRUE(load(s1, 0, 2).exhausted);
    EXPECT_TRUE(load(s1, row_id(1), 1).exhausted);
    EXPECT_TRUE(load(s2).exhausted) << "an unknown session has nothing";
}

TEST_P(StoreContract, a_load_stops_at_bytes_max_but_gives_at_least_one) {
    const std::string big(10000, 'b');
    Batch entries = batch(save_session(s1));
    for (std::uint64_t i = 1; i <= 5; ++i) entries.emplace_back(append(row_id(i), big, {target(s1)}));
    post_and_wait(std::move(entries));
    const Loaded one = load(s1, 0, 100, 10);
    EXPECT_THAT(rows(one), ElementsAre(row_id(1)));
    EXPECT_FALSE(one.exhausted);
    EXPECT_THAT(rows(load(s1, row_id(1), 100, 25000)), ElementsAre(row_id(2), row_id(3)));
}

TEST_P(StoreContract, each_receiver_of_a_message_has_its_own_options) {
    core::QueueTarget first = target(s1), second = target(s2, wire::QoS::exactly_once);
    first.retain = true;
    second.subscription_identifiers = {1, 127, 128, 268435455};
    post_and_wait(batch(save_session(s1), save_session(s2), append(row_id(1), "m", {first, second})));
    reopen();
    const Loaded one = load(s1), two = load(s2);
    ASSERT_EQ(one.entries.size(), 1U);
    ASSERT_EQ(two.entries.size(), 1U);
    EXPECT_TRUE(one.entries[0].retain);
    EXPECT_EQ(one.entries[0].qos, wire::QoS::at_least_once);
    EXPECT_FALSE(two.entries[0].retain);
    EXPECT_EQ(two.entries[0].qos, wire::QoS::exactly_once);
    EXPECT_EQ(two.entries[0].subscription_identifiers, second.subscription_identifiers);
    EXPECT_EQ(two.entries[0].message->client_id(), "publisher");
}

TEST_P(StoreContract, a_copy_knows_the_shared_subscription_it_came_by) {
    core::QueueTarget shared = target(s1);
    shared.share = core::Share("$share/g/a/+");
    post(batch(save_session(s1), save_session(s2), append(row_id(1), "m", {shared, target(s2)}),
               append(row_id(2), "m", {target(s1)})));
    const auto shares = [this](SessionKey session) {
        std::vector<std::string> all;
        for (const auto& entry : load(session).entries) all.emplace_back(entry.share.view());
        return all;
    };
    EXPECT_THAT(shares(s1), ElementsAre("$share/g/a/+", "")) << "before the commit";
    reopen();
    EXPECT_THAT(shares(s1), ElementsAre("$share/g/a/+", ""));
    EXPECT_THAT(shares(s2), ElementsAre(""));
    EXPECT_TRUE(recovered(s1).queue_shared);
    EXPECT_FALSE(recovered(s2).queue_shared);
    post_and_wait(batch(core::SettleMessage{s1, row_id(1)}));
    reopen();
    EXPECT_FALSE(recovered(s1).queue_shared) << "only what is not settled counts";
}

TEST_P(StoreContract, arrivals_add_up_until_they_are_forgotten) {
    const auto note = [](wire::PacketId id, RowId row, std::vector<SessionKey> sessions) {
        return core::NoteArrival{s1, id, 77, row, std::move(sessions), {core::Share("$share/g/#")}};
    };
    const auto rows_noted = [this](SessionKey session) {
        std::vector<std::pair<wire::PacketId, RowId>> all;
        for (const auto& one : recovered(session).arrivals) all.emplace_back(one.packet_id, one.row);
        return all;
    };
    using Notes = std::vector<std::pair<wire::PacketId, RowId>>;
    post_and_wait(batch(save_session(s1), save_session(s2), append(row_id(1), "m", {target(s2)}),
                        note(5, row_id(1), {s2})));
    post_and_wait(batch(note(5, row_id(2, 1), {s3, s2}), note(6, row_id(3), {})));
    reopen();
    EXPECT_EQ(rows_noted(s1), (Notes{{5, row_id(1)}, {5, row_id(2, 1)}, {6, row_id(3)}}));
    EXPECT_THAT(recovered(s1).arrivals[1].sessions, ElementsAre(s3, s2));
    EXPECT_EQ(recovered(s1).arrivals[1].content, 77U);
    ASSERT_EQ(recovered(s1).arrivals[1].groups.size(), 1U);
    EXPECT_EQ(recovered(s1).arrivals[1].groups[0].view(), "$share/g/#");
    EXPECT_EQ(rows_noted(s2), Notes{});
    // Forgotten and noted again, in one commit: the order counts.
    post(batch(core::ForgetArrivals{s1, 5}, note(5, row_id(7), {s2}), note(6, row_id(8), {s2})));
    post_and_wait(batch(core::ForgetArrivals{s1, 6}, core::ForgetArrivals{s1, 99}));
    reopen();
    EXPECT_EQ(rows_noted(s1), (Notes{{5, row_id(7)}}));
}

TEST_P(StoreContract, arrivals_end_with_their_session) {
    post_and_wait(batch(save_session(s1), save_session(s2), core::NoteArrival{s1, 5, 77, row_id(1), {s2}, {}},
                        core::NoteArrival{s2, 5, 77, row_id(2), {s1}, {}}));
    post_and_wait(batch(core::NoteArrival{s1, 6, 77, row_id(3), {s2}, {}}, core::RemoveSession{s1},
                        core::NoteArrival{s1, 7, 77, row_id(4), {s2}, {}}, core::ForgetArrivals{s1, 5}));
    post_and_wait(batch(save_session(s1)));  // keys are not used again; this one shows what is left
    reopen();
    EXPECT_TRUE(recovered(s1).arrivals.empty());
    EXPECT_EQ(recovered(s2).arrivals.size(), 1U);
}

TEST_P(StoreContract, a_settled_message_is_gone_for_its_receiver_only) {
    post_and_wait(batch(save_session(s1), save_session(s2), append(row_id(1), "1", {target(s1), target(s2)}),
                        append(row_id(2), "2", {target(s1), target(s2)}),
                        append(row_id(3), "3", {target(s1)})));
    post_and_wait(batch(core::SettleMessage{s1, row_id(2)}));
    EXPECT_THAT(rows(load(s1)), ElementsAre(row_id(1), row_id(3)));
    EXPECT_THAT(rows(load(s2)), ElementsAre(row_id(1), row_id(2)));
    reopen();
    EXPECT_EQ(recovered(s1).queue_messages, 2U);
    EXPECT_THAT(rows(load(s1)), ElementsAre(row_id(1), row_id(3)));
    EXPECT_THAT(rows(load(s2)), ElementsAre(row_id(1), row_id(2)));
}

TEST_P(StoreContract, the_last_receiver_frees_the_row) {
    post_and_wait(
        batch(save_session(s1), save_session(s2), append(row_id(1), "1", {target(s1), target(s2)})));
    post_and_wait(batch(core::SettleMessage{s1, row_id(1)}));
    EXPECT_EQ(store_->stats().rows, GetParam() == Kind::sqlite_interval ? store_->stats().rows : 1U);
    post_and_wait(batch(core::SettleMessage{s2, row_id(1)}));
    reopen();
    EXPECT_EQ(store_->stats().rows, 0U);
}

TEST_P(StoreContract, settling_twice_or_what_never_was_changes_nothing) {
    post_and_wait(
        batch(save_session(s1), save_session(s2), append(row_id(1), "1", {target(s1), target(s2)})));
    for (int i = 0; i < 3; ++i)
        post(batch(core::SettleMessage{s1, row_id(1)}, core::SettleMessage{s1, row_id(77)},
                   core::SettleMessage{s3, row_id(1)}));
    post_and_wait({});
    EXPECT_THAT(rows(load(s1)), IsEmpty());
    EXPECT_THAT(rows(load(s2)), ElementsAre(row_id(1)));
}

TEST_P(StoreContract, a_load_sees_every_batch_posted_before_it) {
    post(batch(save_session(s1)));
    for (std::uint64_t i = 1; i <= 50; ++i) {
        post(batch(append(row_id(i), std::to_string(i), {target(s1)})));
        if (i > 1) post(batch(core::SettleMessage{s1, row_id(i - 1)}));
        EXPECT_THAT(rows(load(s1)), ElementsAre(row_id(i)));
    }
}

TEST_P(StoreContract, a_load_does_not_see_what_is_posted_behind_it) {
    post_and_wait(batch(save_session(s1), append(row_id(1), "1", {target(s1)})));
    store_->post_load_queue(0, s1, 0, 10, 1000);
    post(batch(core::SettleMessage{s1, row_id(1)}));
    EXPECT_THAT(rows(observer_->next_loaded()), ElementsAre(row_id(1)));
}

TEST_P(StoreContract, what_is_settled_before_its_commit_is_never_written) {
    // One batch cannot be torn apart, so this does not depend on when the group is committed.
    post_and_wait(batch(save_session(s1), save_session(s2), append(row_id(1), "1", {target(s1), target(s2)}),
                        append(row_id(2), "2", {target(s1), target(s2)}), core::SettleMessage{s1, row_id(1)},
                        core::SaveProgress{s1, {{row_id(2), 2, {}}}, {9}}, core::SettleMessage{s2, row_id(1)},
                        core::SettleMessage{s1, row_id(2)}, core::SaveProgress{s1, {}, {9}}));
    reopen();
    EXPECT_EQ(recovered(s1).queue_messages, 0U);
    EXPECT_EQ(recovered(s2).queue_messages, 1U);
    EXPECT_THAT(recovered(s1).progress.outbound, IsEmpty());
    EXPECT_THAT(recovered(s1).progress.inbound_released, ElementsAre(9));
    EXPECT_THAT(rows(load(s2)), ElementsAre(row_id(2)));
    post_and_wait(
        batch(append(row_id(1000000), "3", {target(s1)}), core::SettleMessage{s1, row_id(1000000)}));
    store_->stop();
    EXPECT_GE(store_->stats().cancelled_rows, 1U);
}

TEST_P(StoreContract, the_last_progress_of_a_session_stays) {
    using State = core::InflightRecord::State;
    post_and_wait(batch(save_session(s1), save_session(s2), core::SaveProgress{s1, {{row_id(9), 1, {}}}, {1}},
                        core::SaveProgress{s2, {}, {5}}));
    post_and_wait(
        batch(core::SaveProgress{s1, {{row_id(10), 2, {}}, {0, 65535, State::released}}, {7, 65535}},
              core::SaveProgress{s2, {}, {}}));
    reopen();
    EXPECT_THAT(recovered(s1).progress.outbound,
                ElementsAre(core::InflightRecord{row_id(10), 2, State::published},
                            core::InflightRecord{0, 65535, State::released}));
    EXPECT_THAT(recovered(s1).progress.inbound_released, ElementsAre(7, 65535));
    EXPECT_EQ(recovered(s1).progress.session, s1);
    EXPECT_THAT(recovered(s2).progress.inbound_released, IsEmpty());
}

TEST_P(StoreContract, sessions_come_back_as_they_were_saved) {
    auto first = save_session(s1, "the client");
    first.record.user_name = "user";
    first.record.expiry_interval_s = 0xFFFFFFFF;
    first.record.disconnected_at = WallTime(Millis(1700000000123));
    first.record.will = core::StoredWill{message("will/topic", "bye"), 42};
    Model model;
    const Batch entries = batch(save_session(s1), save_session(s2), first);
    model.apply(entries);
    post_and_wait(entries);
    reopen();
    expect_same(model, recovered_);
    EXPECT_GE(recovered_.session_key_max, s2);
    const Batch again = batch(save_session(s1));  // connected again, without a will
    model.apply(again);
    post_and_wait(again);
    reopen();
    expect_same(model, recovered_);
}

TEST_P(StoreContract, session_keys_and_rows_are_never_given_again) {
    post_and_wait(batch(save_session(session_key(70)), append(row_id(70), "m", {target(session_key(70))})));
    post_and_wait(batch(core::RemoveSession{session_key(70)}));
    reopen();
    EXPECT_GE(recovered_.session_key_max, session_key(70));
    EXPECT_GE(recovered_.row_max, row_id(70));
}

TEST_P(StoreContract, a_removed_session_takes_all_that_is_its_own) {
    post_and_wait(batch(save_session(s1), save_session(s2), core::SaveSubscription{s1, "a/#", {}},
                        core::SaveProgress{s1, {}, {1}}, append(row_id(1), "1", {target(s1)}),
                        append(row_id(2), "2", {target(s1), target(s2)})));
    post_and_wait(batch(core::SettleMessage{s2, row_id(2)}, append(row_id(3), "3", {target(s1), target(s2)}),
                        core::RemoveSession{s1}));
    EXPECT_THAT(rows(load(s1)), IsEmpty());
    EXPECT_THAT(rows(load(s2)), ElementsAre(row_id(3)));
    reopen();
    ASSERT_EQ(recovered_.sessions.size(), 1U);
    EXPECT_EQ(recovered(s2).queue_messages, 1U);
    EXPECT_EQ(store_->stats().rows, 1U);
    EXPECT_THAT(rows(load(s2)), ElementsAre(row_id(3)));
}

TEST_P(StoreContract, subscriptions_are_kept_replaced_and_removed) {
    core::SubscriptionOptions all;
    all.qos = wire::QoS::exactly_once;
    all.no_local = all.retain_as_published = all.local_only = all.at_least_once = true;
    all.retain_handling = wire::RetainHandling::do_not_send;
    all.identifier = 268435455;
    Model model;
    const Batch entries =
        batch(save_session(s1), save_session(s2), core::SaveSubscription{s1, "a/#", {}},
              core::SaveSubscription{s1, "b/+", {}}, core::SaveSubscription{s1, "$share/g/c", {}},
              core::SaveSubscription{s2, "b/+", {}}, core::SaveSubscription{s1, "a/#", all},
              core::RemoveSubscription{s1, "b/+"}, core::RemoveSubscription{s2, "never/there"});
    model.apply(entries);
    post_and_wait(entries);
    reopen();
    expect_same(model, recovered_);
}

TEST_P(StoreContract, rows_of_several_shards_come_in_the_order_of_their_numbers) {
    // A session whose home changed has rows of both shards in one block of counters.
    post_and_wait(batch(save_session(s1), append(row_id(1, 3), "1", {target(s1)}),
                        append(row_id(2, 3), "2", {target(s1)}), append(row_id(3, 1), "3", {target(s1)}),
                        append(row_id(4, 1), "4", {target(s1)})));
    EXPECT_THAT(rows(load(s1)), ElementsAre(row_id(1, 3), row_id(2, 3), row_id(3, 1), row_id(4, 1)));
    EXPECT_THAT(rows(load(s1, row_id(2, 3))), ElementsAre(row_id(3, 1), row_id(4, 1)));
}

TEST_P(StoreContract, commits_are_told_in_order_to_each_of_several_threads) {
    constexpr ShardIndex shards = 4;
    constexpr TurnNumber turns = 300;
    std::vector<std::thread> threads;
    for (ShardIndex shard = 0; shard < shards; ++shard)
        threads.emplace_back([this, shard] {
            const SessionKey own = session_key(1, shard);
            store_->post_batch(shard, 1, batch(save_session(own)));
            for (TurnNumber turn = 2; turn <= turns; ++turn)
                store_->post_batch(shard, turn, batch(append(row_id(turn, shard), "m", {target(own)})));
        });
    for (auto& thread : threads) thread.join();
    for (ShardIndex shard = 0; shard < shards; ++shard) {
        ASSERT_TRUE(observer_->wait_committed(shard, turns));
        const auto told = observer_->committed(shard);
        EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
        EXPECT_EQ(told.back(), turns);
    }
    reopen();
    for (ShardIndex shard = 0; shard < shards; ++shard)
        EXPECT_EQ(recovered(session_key(1, shard)).queue_messages, turns - 1);
}

TEST_P(StoreContract, stop_commits_what_was_posted) {
    post(batch(save_session(s1), append(row_id(1), "1", {target(s1)})));
    reopen();
    EXPECT_EQ(recovered(s1).queue_messages, 1U);
}

TEST_P(StoreContract, a_random_life_with_restarts_agrees_with_the_model) {
    constexpr std::uint64_t seed = 20240607;
    RecordProperty("seed", std::to_string(seed));
    Script script(seed, 0);
    for (int life = 0; life < 6; ++life) {
        SCOPED_TRACE("life " + std::to_string(life));
        for (int i = 0; i < 150; ++i) {
            post(script.next());
            if (i % 40 == 39) expect_same_queues(script.model(), *store_, *observer_);
        }
        reopen();
        expect_same(script.model(), recovered_);
        expect_same_queues(script.model(), *store_, *observer_);
        if (HasFailure()) return;
    }
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract, every_kind, name_of_kind);

}  // namespace
}  // namespace sluice::store::testing
