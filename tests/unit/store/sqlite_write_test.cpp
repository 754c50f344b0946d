#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store_fixture.hpp"

namespace sluice::store::testing {
namespace {

using ::testing::ElementsAre;

class SqliteWrite : public SqliteStoreTest {
  protected:
    /// Longer than any test: what commits does so for another reason.
    void wait_for_no_window() { settings_.durability.window = std::chrono::hours(1); }
};

TEST_F(SqliteWrite, a_message_for_many_is_one_row_with_a_mark_per_receiver_that_is_done) {
    begin();
    Batch sessions;
    std::vector<core::QueueTarget> all;
    for (std::uint64_t i = 1; i <= 100; ++i) {
        sessions.emplace_back(save_session(session_key(i)));
        all.push_back(target(session_key(i)));
    }
    post_and_wait(std::move(sessions));
    post_and_wait(batch(append(row_id(1), "m", all), append(row_id(2), "m", all)));
    EXPECT_EQ(query("SELECT count(*) FROM message"), 2);
    EXPECT_EQ(query("SELECT count(*) FROM settled"), 0);
    Batch settle;
    for (std::uint64_t i = 1; i < 100; ++i)
        settle.emplace_back(core::SettleMessage{session_key(i), row_id(1)});
    post_and_wait(std::move(settle));
    EXPECT_EQ(query("SELECT count(*) FROM message"), 2);
    EXPECT_EQ(query("SELECT count(*) FROM settled"), 99);
    post_and_wait(batch(core::SettleMessage{session_key(100), row_id(1)}));
    EXPECT_EQ(query("SELECT count(*) FROM message"), 1);
    Batch rest;
    for (std::uint64_t i = 1; i <= 100; ++i)
        rest.emplace_back(core::SettleMessage{session_key(i), row_id(2)});
    post_and_wait(std::move(rest));
    EXPECT_EQ(query("SELECT count(*) FROM message"), 0);
    EXPECT_EQ(query("SELECT count(*) FROM settled"), 0) << "marks go with the last row of their chunk";
}

TEST_F(SqliteWrite, marks_survive_restarts_while_the_chunk_grows) {
    begin();
    post_and_wait(batch(save_session(256), save_session(512)));
    for (std::uint64_t i = 1; i <= 20; ++i) {
        post(batch(append(row_id(i), "m", {target(256), target(512)})));
        if (i % 3 == 0) post(batch(core::SettleMessage{256, row_id(i)}));
        post_and_wait({});
        if (i % 5 == 0) {
            stop();
            begin();
        }
    }
    EXPECT_EQ(load(256).entries.size(), 14U);
    EXPECT_EQ(load(512).entries.size(), 20U);
}

TEST_F(SqliteWrite, a_message_for_one_is_deleted_when_it_is_settled) {
    begin();
    post_and_wait(batch(save_session(256), append(row_id(1), "m", {target(256)})));
    EXPECT_EQ(query("SELECT count(*) FROM message"), 1);
    post_and_wait(batch(core::SettleMessage{256, row_id(1)}));
    EXPECT_EQ(query("SELECT (SELECT count(*) FROM message) + (SELECT count(*) FROM settled)"), 0);
}

TEST_F(SqliteWrite, a_full_group_does_not_wait_for_the_window) {
    wait_for_no_window();
    settings_.group_messages_max = 50;
    begin();
    post(batch(save_session(256)));
    for (std::uint64_t i = 1; i <= 50; ++i) post(batch(append(row_id(i), "m", {target(256)})));
    EXPECT_TRUE(observer_->wait_committed(0, 51));
    EXPECT_LE(store_->stats().commits, 2U);
}

TEST_F(SqliteWrite, a_group_with_many_bytes_does_not_wait_for_the_window) {
    wait_for_no_window();
    settings_.group_bytes_max = 100000;
    begin();
    post(batch(save_session(256)));
    for (std::uint64_t i = 1; i <= 4; ++i)
        post(batch(append(row_id(i), std::string(30000, 'x'), {target(256)})));
    EXPECT_TRUE(observer_->wait_committed(0, 5));
}

TEST_F(SqliteWrite, a_group_as_large_as_the_last_one_does_not_wait_for_the_window) {
    wait_for_no_window();
    settings_.group_messages_max = 40;
    begin();
    Batch first = batch(save_session(256));
    for (std::uint64_t i = 1; i <= 40; ++i) first.emplace_back(append(row_id(i), "m", {target(256)}));
    post_and_wait(std::move(first));
    Batch second;
    for (std::uint64_t i = 41; i <= 80; ++i) second.emplace_back(append(row_id(i), "m", {target(256)}));
    post_and_wait(std::move(second));
}

TEST_F(SqliteWrite, a_trickle_shares_commits) {
    wait_for_no_window();
    begin();
    post(batch(save_session(256)));
    for (std::uint64_t i = 1; i <= 10; ++i) post(batch(append(row_id(i), "m", {target(256)})));
    EXPECT_EQ(load(256).entries.size(), 10U) << "the posts were seen";
    EXPECT_EQ(store_->stats().commits, 0U) << "and a load does not commit";
    stop();
    begin();
    EXPECT_EQ(load(256).entries.size(), 10U);
}

TEST_F(SqliteWrite, interval_mode_accepts_at_once_and_commits_later) {
    wait_for_no_window();
    settings_.durability.mode = DurabilityMode::interval;
    begin();
    post_and_wait(batch(save_session(256), append(row_id(1), "m", {target(256)})));
    EXPECT_EQ(store_->stats().commits, 0U);
    stop();
    begin();
    EXPECT_EQ(load(256).entries.size(), 1U);
}

TEST_F(SqliteWrite, a_large_removed_session_goes_a_part_at_a_time) {
    constexpr std::uint64_t messages = 10000;
    begin();
    Batch entries = batch(save_session(256));
    for (std::uint64_t i = 1; i <= messages; ++i) entries.emplace_back(append(row_id(i), "m", {target(256)}));
    post_and_wait(std::move(entries));
    post_and_wait(batch(core::RemoveSession{256}));
    EXPECT_EQ(store_->stats().rows, 0U);
    stop();
    begin();
    EXPECT_EQ(store_->stats().rows, 0U);
    EXPECT_EQ(query("SELECT count(*) FROM message"), 0);
}

TEST_F(SqliteWrite, the_log_is_bounded_and_space_is_used_again) {
    begin();
    post_and_wait(batch(save_session(256)));
    const std::string payload(20000, 'x');
    std::uint64_t file_bytes_early = 0;
    for (std::uint64_t i = 1; i <= 2000; ++i) {
        post(batch(append(row_id(i), payload, {target(256)})));
        // Every twentieth waits, so that what goes is on disk before it goes.
        if (i % 20 == 0) {
            post_and_wait({});
            for (std::uint64_t k = i - 19; k <= i; ++k) post(batch(core::SettleMessage{256, row_id(k)}));
            post_and_wait({});
        }
        if (i == 400) file_bytes_early = std::filesystem::file_size(db_path());
    }
    EXPECT_LE(std::filesystem::file_size(db_path() + "-wal"), 16U << 20);
    EXPECT_LE(std::filesystem::file_size(db_path()), file_bytes_early + (2U << 20));
    const StoreStats stats = store_->stats();
    EXPECT_GT(stats.commits, 100U);
    const auto& commit = stats.written[static_cast<std::size_t>(WriteCause::commit)];
    const auto& checkpoint = stats.written[static_cast<std::size_t>(WriteCause::checkpoint)];
    EXPECT_EQ(commit.fsyncs, stats.commits);
    EXPECT_GT(commit.bytes, 2000U * 20000U);
    EXPECT_GT(checkpoint.fsyncs, 0U);
    EXPECT_GT(checkpoint.bytes, 0U);
    EXPECT_GT(stats.file_bytes, 0U);
    EXPECT_GT(stats.commit_us_max, 0U);
    EXPECT_FALSE(stats.in_trouble);
}

TEST_F(SqliteWrite, a_retained_topic_keeps_its_row) {
    begin();
    for (int i = 0; i < 10; ++i) {
        post_and_wait(batch(core::SetRetained{message("a", std::to_string(i))},
                            core::SetRetained{message("topic/" + std::to_string(i), "x")}));
    }
    EXPECT_EQ(query("SELECT count(*) FROM retained"), 11);
    EXPECT_EQ(query("SELECT id FROM retained WHERE topic='a'") <= 2, true);
}

}  // namespace
}  // namespace sluice::store::testing
