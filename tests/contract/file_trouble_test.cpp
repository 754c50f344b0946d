/// What the file connector does when its folder, its files or their disk are not as they should be.
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <set>

#include "tests/contract/file_fixture.hpp"

namespace sluice::bridge::test {
namespace {

/// A small file system of its own, where that is allowed.
class SmallDisk {
  public:
    explicit SmallDisk(std::filesystem::path folder) : folder_(std::move(folder)) {
        std::filesystem::create_directory(folder_);
        is_mounted_ = ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=1m") == 0;
    }
    ~SmallDisk() {
        if (is_mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    bool is_mounted() const { return is_mounted_; }
    void make_read_only(bool on) {
        ASSERT_EQ(::mount("tmpfs", folder_.c_str(), "tmpfs", MS_REMOUNT | (on ? MS_RDONLY : 0), "size=1m"), 0)
            << std::strerror(errno);
    }

  private:
    std::filesystem::path folder_;
    bool is_mounted_ = false;
};

TEST_F(FileConnector, a_torn_last_line_is_cut_off_at_the_start) {
    put_file(active(), std::string(good_line) + R"({"payload_enc)");
    start();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(1, 3);
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    EXPECT_EQ(numbers(), range(0, 3));
    EXPECT_EQ(names().size(), 1U);
}

TEST_F(FileConnector, damaged_lines_are_set_aside) {
    const std::string hole = R"({"payload")" + std::string(600, '\0') + "}\n" + std::string(good_line);
    put_file(active(), std::string(good_line) + hole);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(1, 3);
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    EXPECT_EQ(numbers(), range(0, 3));
    ASSERT_EQ(names().size(), 2U);
    std::ifstream aside(folder_ / names()[1], std::ios::binary);
    EXPECT_TRUE(names()[1].starts_with("messages.ndjson.damaged-")) << names()[1];
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(aside), {}), hole);
}

TEST_F(FileConnector, somebody_may_take_the_active_file_away) {
    start();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 10);
    ASSERT_TRUE(feeder_.wait_confirmed(10));
    std::filesystem::rename(active(), folder_ / "taken.ndjson");
    publish_numbers(10, 20);
    ASSERT_TRUE(feeder_.wait_confirmed(20));
    EXPECT_EQ(numbers("taken"), range(0, 10));
    EXPECT_EQ(numbers(), range(10, 20));
    std::filesystem::resize_file(active(), 0);  // logrotate's copytruncate
    publish_numbers(20, 30);
    ASSERT_TRUE(feeder_.wait_confirmed(30));
    EXPECT_EQ(numbers(), range(20, 30));
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U);
}

TEST_F(FileConnector, a_full_disk_is_told_and_loses_nothing) {
    SmallDisk disk(folder_);
    if (!disk.is_mounted()) GTEST_SKIP() << "a tmpfs cannot be mounted here (root only)";
    put_file(folder_ / "ballast", std::string(700'000, 'x'));
    start();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 400, 2000);
    ASSERT_TRUE(wait_down_with("No space left on device")) << last_down();
    ASSERT_TRUE(feeder_.wait([&] { return feeder_.downs_.size() >= 4; }));
    EXPECT_EQ(feeder_.read([&] { return feeder_.ups_; }), 1U) << "connected only when there is room";
    for (const int number : numbers()) EXPECT_GE(number, 0) << "a line is no JSON";
    std::filesystem::remove(folder_ / "ballast");
    ASSERT_TRUE(feeder_.wait_confirmed(400)) << last_down();
    const auto all = numbers();
    EXPECT_EQ(std::set<int>(all.begin(), all.end()).size(), 400U);
    EXPECT_EQ(all, range(0, 400)) << "what was taken back did not come twice";
}

TEST_F(FileConnector, a_read_only_disk_is_told_and_loses_nothing) {
    SmallDisk disk(folder_);
    if (!disk.is_mounted()) GTEST_SKIP() << "a tmpfs cannot be mounted here (root only)";
    disk.make_read_only(true);
    start();
    publish_numbers(0, 10);
    ASSERT_TRUE(wait_down_with("Read-only file system")) << last_down();
    disk.make_read_only(false);
    ASSERT_TRUE(feeder_.wait_confirmed(10)) << last_down();
    EXPECT_EQ(numbers(), range(0, 10));
}

TEST_F(FileConnector, what_is_no_file_of_ours_is_told_and_not_waited_for) {
    ASSERT_EQ(::mkfifo(active().c_str(), 0600), 0);
    start();
    publish_numbers(0, 1);
    ASSERT_TRUE(wait_down_with("messages.ndjson is no regular file")) << last_down();
    std::filesystem::remove(active());
    put_file(folder_ / "target", "");
    std::filesystem::create_symlink(folder_ / "target", active());
    ASSERT_TRUE(wait_down_with("symbolic link")) << last_down();
    std::filesystem::remove(active());
    std::filesystem::create_directory(active());
    ASSERT_TRUE(wait_down_with("Is a directory")) << last_down();
    std::filesystem::remove(active());
    ASSERT_TRUE(feeder_.wait_confirmed(1)) << last_down();
    EXPECT_EQ(std::filesystem::file_size(folder_ / "target"), 0U);
}

TEST_F(FileConnector, a_folder_has_one_bridge) {
    start();
    ASSERT_TRUE(feeder_.wait_up());
    auto second = settings_.module->create(settings_.spec);
    ASSERT_TRUE(second.ok()) << second.error();
    Feeder other;
    other.attach(**second);
    (*second)->start(other, {});
    EXPECT_TRUE(other.wait([&] {
        return !other.downs_.empty() &&
               other.downs_.back().find("in use by another bridge") != std::string::npos;
    }));
    connector_->stop(milliseconds(100));
    EXPECT_TRUE(other.wait_up());
    (*second)->stop(milliseconds(100));
}

TEST_F(FileConnector, an_idle_bridge_notices_that_its_folder_is_gone) {
    start();
    ASSERT_TRUE(feeder_.wait_up());
    std::filesystem::remove_all(folder_);
    EXPECT_TRUE(wait_down_with("No such file or directory")) << last_down();
    EXPECT_NE(last_down().find(folder_.string()), std::string::npos) << last_down();
    std::filesystem::create_directory(folder_);
    EXPECT_TRUE(feeder_.wait_up());
}

}  // namespace
}  // namespace sluice::bridge::test
