/// What an operator does with a store's file, beside a running store and without one.
#include "store/maintenance.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "store_fixture.hpp"

namespace sluice::store::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Maintenance : public SqliteStoreTest {
  protected:
    void SetUp() override {
        begin();
        Batch entries = batch(save_session(256), core::SaveSubscription{256, "a/#", {}},
                              core::SetRetained{message("topic", "retained")});
        for (std::uint64_t i = 1; i <= 100; ++i)
            entries.emplace_back(append(row_id(i), "payload " + std::to_string(i), {target(256)}));
        post_and_wait(std::move(entries));
    }
    /// One payload in the file of the store is not what was written.
    void flip_a_payload_bit() const {
        std::string bytes = read_db();
        for (std::size_t at = 0; (at = bytes.find("payload 77", at)) != std::string::npos; ++at)
            bytes[at] ^= 1;
        write_db(bytes);
    }
    std::string backup() const { return dir_.file("backup.db"); }
};

void expect_whole(const StoreReport& report) {
    EXPECT_THAT(report.damage, IsEmpty());
    EXPECT_EQ(report.sessions, 1U);
    EXPECT_EQ(report.subscriptions, 1U);
    EXPECT_EQ(report.messages, 100U);
    EXPECT_EQ(report.retained, 1U);
    EXPECT_GT(report.file_bytes, 0U);
}

TEST_F(Maintenance, a_check_counts_what_is_there_with_and_without_a_broker) {
    for (const bool running : {true, false}) {
        if (!running) stop();
        const auto report = check_store(db_path());
        ASSERT_TRUE(report.ok()) << report.error();
        expect_whole(*report);
    }
}

TEST_F(Maintenance, a_check_finds_what_a_start_finds_only_when_it_is_delivered) {
    stop();
    flip_a_payload_bit();
    const auto report = check_store(db_path());
    ASSERT_TRUE(report.ok()) << report.error();
    EXPECT_THAT(report->damage, ElementsAre("1 messages cannot be delivered: the checksum did not hold"));
}

TEST_F(Maintenance, a_check_tells_a_damaged_file_from_one_that_is_none_of_ours) {
    stop();
    std::string bytes = read_db();
    std::fill(bytes.begin() + 4096, bytes.begin() + 3 * 4096, 'x');
    write_db(bytes);
    auto report = check_store(db_path());
    ASSERT_TRUE(report.ok()) << report.error();
    EXPECT_THAT(report->damage, ElementsAre(HasSubstr("is damaged")));
    report = check_store(dir_.file("nothing"));
    ASSERT_FALSE(report.ok());
    EXPECT_THAT(report.error(), HasSubstr("nothing is not there, or empty"));
}

TEST_F(Maintenance, a_backup_beside_a_running_store_is_one_moment_of_it) {
    const auto report = back_up_store(dir_.path(), backup());
    ASSERT_TRUE(report.ok()) << report.error();
    expect_whole(*report);
    post_and_wait(batch(append(row_id(101), "later", {target(256)})));
    EXPECT_EQ(check_store(backup())->messages, 100U);
    EXPECT_FALSE(std::filesystem::exists(backup() + "-wal")) << "one file is all of it";
    EXPECT_FALSE(std::filesystem::exists(backup() + ".part"));
    const auto again = back_up_store(dir_.path(), backup());
    ASSERT_FALSE(again.ok());
    EXPECT_THAT(again.error(), HasSubstr("is there already"));
}

TEST_F(Maintenance, a_restored_store_is_what_was_backed_up_and_the_other_is_kept) {
    ASSERT_TRUE(back_up_store(dir_.path(), backup()).ok());
    post_and_wait(batch(core::RemoveSession{256}));
    auto restored = restore_store(backup(), dir_.path());
    ASSERT_FALSE(restored.ok());
    EXPECT_THAT(restored.error(), HasSubstr("in use by another broker"));
    stop();
    restored = restore_store(backup(), dir_.path());
    ASSERT_TRUE(restored.ok()) << restored.error();
    expect_whole(restored->report);
    EXPECT_EQ(check_store(restored->set_aside)->sessions, 0U);
    EXPECT_EQ(std::filesystem::status(db_path()).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    begin();
    EXPECT_EQ(load(256).entries.size(), 100U);
}

// What the log of a killed broker holds is a part of the store, also when that is restored from; and a log
// without its file must not meet another one.
TEST_F(Maintenance, a_restore_takes_the_log_along_and_leaves_none_behind) {
    const std::filesystem::path killed = dir_.file("killed");
    std::filesystem::create_directory(killed);
    for (const char* suffix : {"", "-wal"})
        std::filesystem::copy_file(db_path() + suffix, killed / (std::string("sluice.db") + suffix));
    ASSERT_GT(std::filesystem::file_size(killed / "sluice.db-wal"), 4096U);
    post_and_wait(batch(append(row_id(101), "later", {target(256)})));
    ASSERT_TRUE(back_up_store(dir_.path(), backup()).ok());
    std::filesystem::copy_file(db_path() + "-wal", dir_.file("orphan-wal"));
    stop();
    std::filesystem::remove(db_path());
    std::filesystem::copy_file(dir_.file("orphan-wal"), db_path() + "-wal");

    const auto restored = restore_store((killed / "sluice.db").string(), dir_.path());
    ASSERT_TRUE(restored.ok()) << restored.error();
    expect_whole(restored->report);
    EXPECT_FALSE(restored->set_aside.empty());
    EXPECT_FALSE(std::filesystem::exists(db_path() + "-wal"));
    begin();
    EXPECT_EQ(load(256).entries.size(), 100U);
    EXPECT_FALSE(restore_store(backup(), dir_.file("no-such-folder")).ok());
    EXPECT_FALSE(std::filesystem::exists(dir_.file("no-such-folder")));
}

TEST_F(Maintenance, a_check_tells_what_a_damaged_log_has_lost) {
    std::string log;
    for (std::uint64_t i = 101; i < 106; ++i) post_and_wait(batch(append(row_id(i), "later", {target(256)})));
    std::filesystem::create_directory(dir_.file("killed"));
    std::filesystem::copy_file(db_path(), dir_.file("killed/sluice.db"));
    std::ifstream in(db_path() + "-wal", std::ios::binary);
    log.assign(std::istreambuf_iterator<char>(in), {});
    log[log.size() / 2] ^= 1;
    std::ofstream(dir_.file("killed/sluice.db-wal"), std::ios::binary) << log;
    const auto report = check_store(dir_.file("killed/sluice.db"));
    ASSERT_TRUE(report.ok()) << report.error();
    EXPECT_THAT(report->damage, ElementsAre(HasSubstr("commits nothing could be read")));
}

TEST_F(Maintenance, a_damaged_backup_replaces_nothing) {
    stop();
    const std::string fine = read_db();
    flip_a_payload_bit();
    std::filesystem::rename(db_path(), backup());
    write_db(fine);
    const auto restored = restore_store(backup(), dir_.path());
    ASSERT_FALSE(restored.ok());
    EXPECT_THAT(restored.error(), HasSubstr("nothing was changed"));
    EXPECT_EQ(read_db(), fine);
}

}  // namespace
}  // namespace sluice::store::testing
