/// A full disk makes acknowledgements wait; nothing is lost, and a full store can be drained.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "store_fixture.hpp"

namespace sluice::store::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SqliteFull : public SqliteStoreTest {
  protected:
    SqliteFull() { settings_.disk.bytes_max = 1 << 20; }

    /// After publishers were asked to wait, and did not.
    bool waits() const {
        const auto troubles = observer_->troubles();
        return !troubles.empty() && troubles.back().find("acknowledgements wait") != std::string::npos;
    }
    /// Posts until the store says that it is full; returns how many messages were posted.
    std::uint64_t fill() {
        post_and_wait(batch(save_session(256)));
        std::uint64_t posted = 0;
        while (!waits() && posted < 4000) {
            ++posted;
            post(batch(append(row_id(posted), payload_, {target(256)})));
            if (posted % 10 == 0) load(256, row_id(posted));  // in step with the store's thread
        }
        EXPECT_TRUE(observer_->wait_trouble());
        return posted;
    }

    /// A hundred messages, and the store is closed.
    void fill_a_little() {
        Batch entries = batch(save_session(256));
        for (std::uint64_t i = 1; i <= 100; ++i)
            entries.emplace_back(append(row_id(i), payload_, {target(256)}));
        post_and_wait(std::move(entries));
        stop();
    }
    /// After fill_a_little(): fifty more, and what is given before them.
    void post_fifty_more(Batch more = {}) {
        const RowId first = recovered_.row_max / 256 + 1;
        for (std::uint64_t i = 0; i < 50; ++i)
            more.emplace_back(append(row_id(first + i), payload_, {target(256)}));
        post(std::move(more));
    }
    /// After fill_a_little(): fifty more wait, until sixty have left.
    void expect_no_growth_but_draining(const std::string& trouble) {
        begin();
        const auto pages = query("PRAGMA page_count");
        post_fifty_more();
        const auto deadline = std::chrono::steady_clock::now() + 20s;
        const RowId behind = recovered_.row_max + 256 * 50;
        while (!waits() && std::chrono::steady_clock::now() < deadline) load(256, behind);
        EXPECT_THAT(observer_->troubles().back(), HasSubstr(trouble));
        EXPECT_EQ(query("PRAGMA page_count"), pages);
        for (std::uint64_t i = 1; i <= 60; ++i) post(batch(core::SettleMessage{256, row_id(i)}));
        EXPECT_TRUE(observer_->wait_committed(0, turn_));
        stop();
        begin();
        EXPECT_EQ(recovered_.sessions.at(0).queue_messages, 90U);
    }

    const std::string payload_ = std::string(2000, 'f');
};

/// Files cannot grow over so many bytes while it lives; stands for a disk that is full.
class FileSizeLimit {
  public:
    explicit FileSizeLimit(rlim_t bytes) {
        ::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &before_);
        rlimit now = before_;
        now.rlim_cur = bytes;
        ::setrlimit(RLIMIT_FSIZE, &now);
    }
    ~FileSizeLimit() { lift(); }
    void lift() { ::setrlimit(RLIMIT_FSIZE, &before_); }

  private:
    rlimit before_{};
};

TEST_F(SqliteFull, near_its_limit_publishers_are_asked_to_wait_and_what_they_sent_is_kept) {
    begin();
    post_and_wait(batch(save_session(256)));
    std::uint64_t posted = 0;
    while (!store_->holds_back() && posted < 4000) {
        ++posted;
        post_and_wait(batch(append(row_id(posted), payload_, {target(256)})));
    }
    ASSERT_TRUE(observer_->wait_trouble());
    EXPECT_THAT(observer_->troubles().back(), HasSubstr("publishers wait"));
    EXPECT_EQ(observer_->committed(0).back(), turn_) << "all that was posted";
    EXPECT_TRUE(store_->stats().in_trouble);
    Batch settles;
    for (std::uint64_t i = 1; i <= posted / 2; ++i) settles.emplace_back(core::SettleMessage{256, row_id(i)});
    post_and_wait(std::move(settles));
    EXPECT_FALSE(store_->holds_back());
}

TEST_F(SqliteFull, at_its_limit_acknowledgements_wait_until_it_is_drained) {
    begin();
    const std::uint64_t posted = fill();
    EXPECT_THAT(observer_->troubles().back(), HasSubstr("reached its limit of 1048576 bytes"));
    const TurnNumber committed = observer_->committed(0).back();
    EXPECT_LT(committed, turn_) << "the last ones are not acknowledged";
    EXPECT_TRUE(store_->stats().in_trouble);
    // What waits in memory can be read, too.
    EXPECT_EQ(load(256).entries.size(), posted);
    for (std::uint64_t i = 1; i <= posted; ++i) post(batch(core::SettleMessage{256, row_id(i)}));
    EXPECT_TRUE(observer_->wait_committed(0, turn_));
    EXPECT_TRUE(observer_->wait_recovery());
    EXPECT_FALSE(store_->stats().in_trouble);
    stop();
    begin();
    EXPECT_EQ(recovered_.sessions.at(0).queue_messages, 0U);
}

TEST_F(SqliteFull, draining_some_makes_room_for_as_many) {
    begin();
    const std::uint64_t posted = fill();
    for (std::uint64_t i = 1; i <= posted / 2; ++i) post(batch(core::SettleMessage{256, row_id(i)}));
    EXPECT_TRUE(observer_->wait_committed(0, turn_));
    stop();
    begin();
    EXPECT_EQ(recovered_.sessions.at(0).queue_messages, posted - posted / 2);
}

TEST_F(SqliteFull, everything_waits_and_goes_on_when_there_is_room_again) {
    settings_.disk.bytes_max = std::uint64_t{1} << 30;
    begin();
    post_and_wait(batch(save_session(256), append(row_id(1), payload_, {target(256)})));
    FileSizeLimit limit(100000);
    post(batch(append(row_id(2), std::string(200000, 'x'), {target(256)})));
    EXPECT_TRUE(observer_->wait_trouble());
    EXPECT_THAT(observer_->troubles().back(), HasSubstr("cannot be written"));
    EXPECT_THAT(observer_->troubles().back(), HasSubstr(db_path()));
    EXPECT_THAT(observer_->troubles().back(), HasSubstr("File too large"));
    EXPECT_EQ(observer_->committed(0).back(), 1U);
    post(batch(append(row_id(3), payload_, {target(256)})));
    limit.lift();
    EXPECT_TRUE(observer_->wait_committed(0, 3));
    EXPECT_THAT(observer_->troubles(), ElementsAre(::testing::_, ""));
    stop();
    begin();
    EXPECT_EQ(load(256).entries.size(), 3U);
}

TEST_F(SqliteFull, what_is_delivered_meanwhile_need_not_be_written) {
    settings_.disk.bytes_max = std::uint64_t{1} << 30;
    begin();
    post_and_wait(batch(save_session(256)));
    FileSizeLimit limit(100000);
    post(batch(append(row_id(1), std::string(200000, 'x'), {target(256)})));
    EXPECT_TRUE(observer_->wait_trouble());
    post(batch(core::SettleMessage{256, row_id(1)}));
    EXPECT_TRUE(observer_->wait_committed(0, turn_));
    EXPECT_EQ(store_->stats().cancelled_rows, 1U);
}

TEST_F(SqliteFull, stop_does_not_hang_and_keeps_what_was_committed) {
    begin();
    fill();
    const auto committed = observer_->committed(0).back();
    const auto began = std::chrono::steady_clock::now();
    stop();
    EXPECT_LT(std::chrono::steady_clock::now() - began, 20s);
    begin();
    EXPECT_GE(recovered_.sessions.at(0).queue_messages, committed - 1);
}

TEST_F(SqliteFull, interval_mode_holds_acknowledgements_back_too) {
    settings_.durability.mode = DurabilityMode::interval;
    begin();
    fill();
    const auto told = observer_->committed(0).back();
    for (int i = 0; i < 20; ++i) {
        post(batch(append(row_id(100000 + static_cast<std::uint64_t>(i)), payload_, {target(256)})));
        load(256, row_id(200000));
    }
    EXPECT_LE(observer_->committed(0).back(), told + 1);
}

// What others are to be left: the file does not take it, but what is in it can be delivered.
TEST_F(SqliteFull, with_little_free_on_the_disk_the_file_does_not_grow_but_can_be_drained) {
    begin();
    fill_a_little();
    settings_.disk.free_min = std::uint64_t{1} << 60;
    expect_no_growth_but_draining("(half of store.free_min); acknowledgements wait");
}

// Among that is the client who comes to drain its queue.
TEST_F(SqliteFull, what_was_sent_before_publishers_wait_may_take_half_of_what_others_are_left) {
    settings_.disk.bytes_max = std::uint64_t{1} << 30;
    begin();
    fill_a_little();
    const auto free = std::filesystem::space(dir_.path()).available;
    settings_.disk.free_min = free + free / 2;
    begin();
    EXPECT_TRUE(observer_->wait_trouble());
    EXPECT_THAT(observer_->troubles().back(), HasSubstr("(store.free_min); publishers wait"));
    EXPECT_TRUE(store_->holds_back());
    post_fifty_more(batch(save_session(512)));
    EXPECT_TRUE(observer_->wait_committed(0, turn_));
    EXPECT_TRUE(store_->holds_back());
}

TEST_F(SqliteFull, where_others_have_less_the_reserve_has_room_for_it) {
    settings_.disk.bytes_max = std::uint64_t{1} << 30;
    begin();
    fill_a_little();
    settings_.disk.free_min = std::uint64_t{1} << 60;
    settings_.reserve_bytes = 4 << 20;
    begin();
    post_fifty_more(batch(save_session(512)));
    EXPECT_TRUE(observer_->wait_committed(0, turn_));
    EXPECT_TRUE(store_->holds_back());
    EXPECT_THAT(observer_->troubles().back(), HasSubstr("(store.free_min); publishers wait"));
    // And that once: it is not made again while others have too little.
    EXPECT_FALSE(std::filesystem::exists(dir_.file("sluice.reserve")));
    for (const auto end = std::chrono::steady_clock::now() + 10 * settings_.retry_pause;
         std::chrono::steady_clock::now() < end;) {
        post_and_wait(batch(save_session(768)));
        ASSERT_FALSE(std::filesystem::exists(dir_.file("sluice.reserve")));
    }
}

TEST_F(SqliteFull, a_reserve_is_kept_while_there_is_room) {
    settings_.reserve_bytes = 1 << 20;
    begin();
    EXPECT_EQ(std::filesystem::file_size(dir_.file("sluice.reserve")), 1U << 20);
}

// A file that takes the last blocks of a disk cannot have its log written back, and then not even be drained.
TEST_F(SqliteFull, without_room_for_a_reserve_the_file_does_not_grow_but_can_be_drained) {
    begin();
    fill_a_little();
    settings_.reserve_bytes = 1 << 20;
    std::filesystem::create_directory(dir_.file("sluice.reserve"));  // so that it cannot be made
    expect_no_growth_but_draining("no room for its reserve of 1048576 bytes; acknowledgements wait");
}

// So it is after a power cut on a full disk: the log must do with the room that it takes already.
TEST_F(SqliteFull, without_a_reserve_a_log_that_cannot_grow_is_used_again) {
    constexpr std::uint64_t messages = 3600;  // four a page: the log is not yet written back by itself
    const std::string four_a_page(850, 'f');
    settings_.disk.bytes_max = std::uint64_t{1} << 30;
    begin();
    Batch entries = batch(save_session(256));
    for (std::uint64_t i = 1; i <= messages; ++i)
        entries.emplace_back(append(row_id(i), four_a_page, {target(256)}));
    post_and_wait(std::move(entries));
    stop();
    settings_.reserve_bytes = 1 << 20;
    std::filesystem::create_directory(dir_.file("sluice.reserve"));  // so that it cannot be made
    begin();
    // One of each page, so that none becomes free, then another of each: twice as much as the log may take,
    // which is as much as the file does.
    FileSizeLimit limit(std::filesystem::file_size(db_path()));
    for (std::uint64_t first = 1; first <= 2; ++first) {
        Batch settles;
        for (std::uint64_t i = first; i <= messages; i += 4)
            settles.emplace_back(core::SettleMessage{256, row_id(i)});
        post(std::move(settles));
        ASSERT_TRUE(observer_->wait_committed(0, turn_));
    }
    limit.lift();
    stop();
    begin();
    EXPECT_EQ(recovered_.sessions.at(0).queue_messages, messages / 2);
}

}  // namespace
}  // namespace sluice::store::testing
