#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_fixture.hpp"

namespace sluice::store::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class SqliteOpen : public SqliteStoreTest {};

TEST_F(SqliteOpen, makes_a_missing_folder_for_its_user_only) {
    settings_.data_dir = dir_.file("a/b/data");
    begin();
    struct stat info {};
    ASSERT_EQ(::stat(settings_.data_dir.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0700U);
    ASSERT_EQ(::stat((settings_.data_dir + "/sluice.db").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST_F(SqliteOpen, a_folder_that_is_a_file_is_named_in_the_error) {
    std::ofstream(dir_.file("data")) << "x";
    settings_.data_dir = dir_.file("data");
    EXPECT_EQ(open_error(), dir_.file("data") + " is not a directory");
}

TEST_F(SqliteOpen, a_folder_that_cannot_be_made_is_named_in_the_error) {
    std::ofstream(dir_.file("file")) << "x";
    settings_.data_dir = dir_.file("file/data");
    EXPECT_THAT(open_error(),
                AllOf(HasSubstr(dir_.file("file/data")), HasSubstr("Not a directory"), Not(HasSubstr("\n"))));
}

TEST_F(SqliteOpen, a_folder_that_cannot_be_written_is_named_in_the_error) {
    // The kernel's own folder refuses also the superuser.
    settings_.data_dir = "/proc/self";
    const std::string error = open_error();
    EXPECT_THAT(error, AllOf(HasSubstr("/proc/self is not writable by uid " + std::to_string(::geteuid())),
                             Not(HasSubstr("\n"))));
}

TEST_F(SqliteOpen, two_brokers_cannot_share_a_folder) {
    begin();
    EXPECT_EQ(open_error(),
              dir_.path() + " is in use by another broker (pid " + std::to_string(::getpid()) + ")");
    stop();
    EXPECT_THAT(open_error(), IsEmpty());
}

TEST_F(SqliteOpen, a_newer_file_is_refused_and_left_as_it_is) {
    begin();
    post_and_wait(batch(save_session(256)));
    stop();
    change("PRAGMA user_version=7");
    const std::string before = read_db();
    EXPECT_THAT(open_error(),
                AllOf(HasSubstr("sluice.db was written by a newer Sluice"), HasSubstr("schema is 7")));
    EXPECT_EQ(read_db(), before);
    EXPECT_FALSE(std::filesystem::exists(db_path() + "-wal"));
}

TEST_F(SqliteOpen, a_file_of_the_first_version_becomes_one_of_this) {
    begin();
    post_and_wait(batch(save_session(256), append(row_id(1), "m", {target(256)})));
    stop();
    change("DROP TABLE arrival; PRAGMA user_version=1");
    begin();
    EXPECT_THAT(recovered_.damage, IsEmpty());
    ASSERT_EQ(recovered_.sessions.size(), 1U);
    EXPECT_EQ(recovered_.sessions[0].queue_messages, 1U);
    post_and_wait(batch(core::NoteArrival{256, 5, 77, row_id(2), {256}, {}}));
    stop();
    begin();
    EXPECT_EQ(recovered_.sessions[0].arrivals.size(), 1U);
    EXPECT_EQ(query("PRAGMA user_version"), 2);
}

TEST_F(SqliteOpen, a_file_without_an_id_gets_one_and_another_file_has_another) {
    begin();
    const std::uint64_t first = recovered_.id;
    stop();
    change("DELETE FROM meta WHERE name='store_id'");
    begin();
    const std::uint64_t second = recovered_.id;
    stop();
    begin();
    EXPECT_EQ(recovered_.id, second);
    EXPECT_NE(second, first);
    EXPECT_NE(second, 0U);
    EXPECT_NE(first, 0U);
}

TEST_F(SqliteOpen, an_empty_file_becomes_a_store) {
    std::ofstream(db_path()).flush();
    begin();
    EXPECT_THAT(recovered_.damage, IsEmpty());
    post_and_wait(batch(save_session(256)));
    stop();
    begin();
    EXPECT_EQ(recovered_.sessions.size(), 1U);
}

TEST_F(SqliteOpen, the_file_is_set_up_as_designed) {
    begin();
    post_and_wait(batch(save_session(256)));
    EXPECT_EQ(query("PRAGMA auto_vacuum"), 2);
    EXPECT_EQ(query("PRAGMA page_size"), 4096);
    EXPECT_EQ(query("PRAGMA user_version"), 2);
    EXPECT_TRUE(std::filesystem::exists(db_path() + "-wal"));
    stop();
    EXPECT_FALSE(std::filesystem::exists(db_path() + "-wal")) << "an orderly stop leaves one file";
}

TEST_F(SqliteOpen, rows_that_nobody_needs_are_removed_at_the_start) {
    begin();
    post_and_wait(batch(save_session(256), save_session(512), append(row_id(1), "1", {target(256)}),
                        append(row_id(2), "2", {target(256), target(512)}),
                        core::SaveSubscription{256, "f", {}}, core::SaveProgress{256, {}, {1}}));
    stop();
    // As if the removal of a large session had been cut short.
    change("DELETE FROM session WHERE key=256");
    begin();
    EXPECT_THAT(recovered_.damage, IsEmpty());
    EXPECT_EQ(store_->stats().rows, 1U);
    EXPECT_EQ(query("SELECT count(*) FROM message"), 1);
    EXPECT_EQ(query("SELECT (SELECT count(*) FROM subscription) + (SELECT count(*) FROM progress)"), 0);
}

}  // namespace
}  // namespace sluice::store::testing
