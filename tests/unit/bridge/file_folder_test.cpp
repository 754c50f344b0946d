/// What is on disk when something fails between a line and its sync. This program has a fdatasync() of its
/// own, which fails when it is told to.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "bridge/file/folder.hpp"

namespace {
int syncs = 0;
int sync_error = 0;
}  // namespace

extern "C" int fdatasync(int fd) {
    ++syncs;
    if (sync_error != 0) {
        errno = sync_error;
        return -1;
    }
    static const auto real = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "fdatasync"));
    return real(fd);
}

namespace sluice::bridge::file {
namespace {

class FileFolder : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string name = std::filesystem::temp_directory_path() / "sluice-folder-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        settings_.directory = name;
        syncs = sync_error = 0;
    }
    void TearDown() override {
        sync_error = 0;
        folder_.reset();
        std::filesystem::remove_all(settings_.directory);
    }
    void open() {
        folder_.reset();
        auto opened = Folder::open(settings_, 0640, "test", 0);
        ASSERT_TRUE(opened.ok()) << opened.error().text;
        folder_ = std::move(opened).value();
    }
    bool append(const std::string& base, const std::string& line) { return folder_->append(base, line).ok(); }
    std::string content(const std::string& base = "m") const {
        std::ifstream in(settings_.directory + "/" + base + ".ndjson", std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    FileSettings settings_;
    std::unique_ptr<Folder> folder_;
};

TEST_F(FileFolder, a_group_costs_one_sync_per_file) {
    open();
    for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(append("m", "{\"a\":1}\n"));
        ASSERT_TRUE(append("n", "{\"a\":1}\n"));
    }
    EXPECT_EQ(syncs, 0);
    ASSERT_TRUE(folder_->sync().ok());
    EXPECT_EQ(syncs, 2);
    ASSERT_TRUE(folder_->sync().ok());
    EXPECT_EQ(syncs, 2) << "nothing new";
    EXPECT_EQ(content().size(), 8000U);
}

TEST_F(FileFolder, lines_whose_sync_failed_are_taken_back) {
    open();
    ASSERT_TRUE(append("m", "{\"a\":1}\n"));
    ASSERT_TRUE(folder_->sync().ok());
    ASSERT_TRUE(append("m", "{\"a\":2}\n"));
    sync_error = EIO;
    const auto synced = folder_->sync();
    ASSERT_FALSE(synced.ok());
    EXPECT_EQ(synced.error().text, "cannot sync " + settings_.directory + "/m.ndjson: Input/output error");
    EXPECT_FALSE(synced.error().no_room);
    sync_error = 0;
    folder_.reset();
    EXPECT_EQ(content(), "{\"a\":1}\n");
    open();
    ASSERT_TRUE(append("m", "{\"a\":2}\n"));
    ASSERT_TRUE(folder_->sync().ok());
    EXPECT_EQ(content(), "{\"a\":1}\n{\"a\":2}\n");
}

TEST_F(FileFolder, a_file_is_not_finished_before_it_is_synced) {
    settings_.rotate_bytes = 4096;
    open();
    ASSERT_TRUE(append("m", "{" + std::string(3000, ' ') + "}\n"));
    sync_error = EIO;
    EXPECT_FALSE(append("m", "{" + std::string(3000, ' ') + "}\n"));
    sync_error = 0;
    folder_.reset();
    EXPECT_EQ(content(), "");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(settings_.directory), {}), 1);
}

TEST_F(FileFolder, a_line_that_was_written_in_part_is_taken_back) {
    open();
    ASSERT_TRUE(append("m", "{\"a\":1}\n"));
    ASSERT_TRUE(folder_->sync().ok());
    ASSERT_TRUE(append("m", "{" + std::string(100'000, ' ') + "}\n"));
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    rlimit small{50'000, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto synced = folder_->sync();
    const std::size_t torn = content().size();
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    ASSERT_FALSE(synced.ok());
    EXPECT_NE(synced.error().text.find("cannot write"), std::string::npos) << synced.error().text;
    EXPECT_EQ(torn, 50'000U) << "the test did not do what it should";
    folder_.reset();
    EXPECT_EQ(content(), "{\"a\":1}\n");
}

TEST_F(FileFolder, what_others_have_appended_is_theirs) {
    open();
    ASSERT_TRUE(append("m", "{\"a\":1}\n"));
    ASSERT_TRUE(folder_->sync().ok());
    std::ofstream(settings_.directory + "/m.ndjson", std::ios::app) << "{\"b\":1}\n";
    folder_.reset();
    EXPECT_EQ(content(), "{\"a\":1}\n{\"b\":1}\n");
    open();
    std::ofstream(settings_.directory + "/m.ndjson", std::ios::app) << "{\"b\":2}\n";
    ASSERT_TRUE(append("m", "{\"a\":2}\n"));
    ASSERT_TRUE(folder_->sync().ok());
    EXPECT_EQ(content(), "{\"a\":1}\n{\"b\":1}\n{\"b\":2}\n{\"a\":2}\n");
}

TEST_F(FileFolder, a_large_file_is_checked_at_its_end_only) {
    const std::string path = settings_.directory + "/m.ndjson";
    const std::string line = "{" + std::string(1022, ' ') + "}\n";
    {
        std::ofstream out(path, std::ios::binary);
        out << "no line of ours\n";
        for (int i = 0; i < 17 * 1024; ++i) out << line;
        out << "{\"torn";
    }
    open();
    EXPECT_EQ(std::filesystem::file_size(path), 16 + 17 * 1024 * line.size());
    // One line that is longer than what is looked at.
    folder_.reset();
    std::ofstream(path, std::ios::binary) << line << "{" << std::string(17'000'000, ' ');
    open();
    EXPECT_EQ(content(), line);
}

TEST_F(FileFolder, what_another_life_has_left_becomes_old_and_is_bounded) {
    for (int i = 0; i < 300; ++i)
        std::ofstream(settings_.directory + "/n" + std::to_string(i) + ".ndjson") << "{}\n{\"torn";
    settings_.files_max = 10;
    open();
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(settings_.directory)) {
        ++files;
        EXPECT_EQ(entry.file_size(), 3U) << entry.path();
    }
    EXPECT_EQ(files, active_files_max + 10);
}

}  // namespace
}  // namespace sluice::bridge::file
