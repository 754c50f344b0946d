#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/run.hpp"
#include "fake_modules.hpp"

namespace sluice::app {
namespace {

using testing::HasSubstr;

class CommandLine : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "sluice-app-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    std::string write(const std::string& name, const std::string& content) const {
        std::ofstream(folder_ + "/" + name, std::ios::binary) << content;
        return folder_ + "/" + name;
    }
    int answer(std::vector<const char*> arguments) {
        arguments.insert(arguments.begin(), "sluiced");
        out_.str("");
        err_.str("");
        return answer_command_line(
            int(arguments.size()), arguments.data(), fake_modules(),
            [&](const Options& options, Config config) {
                served_ = std::move(config);
                options_ = options;
                return 42;
            },
            out_, err_);
    }

    std::string folder_;
    std::ostringstream out_, err_;
    std::optional<Config> served_;
    Options options_;
};

TEST_F(CommandLine, PrintsTheVersion) {
    EXPECT_EQ(answer({"--version"}), 0);
    EXPECT_THAT(out_.str(), testing::MatchesRegex("sluiced [0-9]+\\.[0-9]+\\.[0-9]+\n"));
    EXPECT_EQ(err_.str(), "");
}

TEST_F(CommandLine, PrintsHelp) {
    EXPECT_EQ(answer({"--help"}), 0);
    for (const char* words :
         {"--config", "--check", "--version", "--settings", "--log-level", "/etc/sluice/sluice.toml"}) {
        EXPECT_THAT(out_.str(), HasSubstr(words));
    }
}

TEST_F(CommandLine, PrintsTheReferenceWithTheKeysOfInstalledModules) {
    EXPECT_EQ(answer({"--settings"}), 0);
    EXPECT_THAT(out_.str(), HasSubstr("# Settings reference"));
    EXPECT_THAT(out_.str(), HasSubstr("`[[bridge]]` with `type = \"kafka\"`"));
}

TEST_F(CommandLine, RefusesWhatItDoesNotKnowWithTwo) {
    EXPECT_EQ(answer({"--chekc"}), 2);
    EXPECT_THAT(err_.str(), HasSubstr("--chekc"));
    EXPECT_EQ(answer({"file"}), 2);
    EXPECT_EQ(answer({"--config"}), 2);
    EXPECT_EQ(answer({"--log-level", "loud"}), 2);
    EXPECT_EQ(answer({"--check", "--version"}), 2);
    EXPECT_EQ(out_.str(), "");
    EXPECT_FALSE(served_);
}

TEST_F(CommandLine, ChecksAGoodFile) {
    const auto file = write("good.toml", "[[listener]]\naddress = '127.0.0.1'\nanonymous = true\n");
    EXPECT_EQ(answer({"--check", "--config", file.c_str()}), 0);
    EXPECT_EQ(out_.str(), file + ": ok\n");
    EXPECT_EQ(err_.str(), "");
    EXPECT_FALSE(served_);
}

TEST_F(CommandLine, ChecksABadFile) {
    const auto file = write("bad.toml", "[broker]\nthread = 1\n[limits]\nreceive_maximum = 0\n");
    EXPECT_EQ(answer({"--config", file.c_str(), "--check"}), 1);
    EXPECT_EQ(out_.str(), "");
    EXPECT_THAT(
        err_.str(),
        HasSubstr(file + ":2:1: key `broker.thread`: is not known; did you mean `broker.threads`?\n"));
    EXPECT_THAT(err_.str(), HasSubstr(file + ":4:19: key `limits.receive_maximum`: 0 is too small"));
}

TEST_F(CommandLine, ChecksThatNamedFilesAreThere) {
    const auto file = write("a.toml", R"(
[broker]
data_dir = "a.toml"
[auth]
password_file = "no-passwd"
acl_file = "no-acl"
[[listener]]
port = 8883
[listener.tls]
certificate = "no.crt"
key = "no.key"
[[listener]]
transport = "unix"
path = "no-folder/a.sock"
[[bridge]]
name = "b"
type = "file"
[[bridge.route]]
from = "a"
)");
    EXPECT_EQ(answer({"--check", "--config", file.c_str()}), 1);
    const std::string lines = err_.str();
    for (const std::string words :
         {"a.toml: key `broker.data_dir`: ", "/a.toml is not a folder", "a.toml: key `auth.password_file`: ",
          "no-passwd", "a.toml: key `auth.acl_file`: ", "no-acl", "a.toml:7: ", "no.crt",
          "a.toml:12: key `listener.path`: there is no folder ", "a.toml:15: fake\n"}) {
        EXPECT_THAT(lines, HasSubstr(words));
    }
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 6);
}

TEST_F(CommandLine, SaysThatTheFileIsMissing) {
    EXPECT_EQ(answer({"--check", "--config", "/nonexistent.toml"}), 1);
    EXPECT_EQ(err_.str(), "/nonexistent.toml: cannot read the settings: No such file or directory\n");
}

TEST_F(CommandLine, ServesWithTheSettings) {
    const auto file = write("good.toml", "[broker]\nthreads = 3\n");
    EXPECT_EQ(answer({"--config", file.c_str(), "--log-level", "error"}), 42);
    ASSERT_TRUE(served_);
    EXPECT_EQ(served_->threads, 3U);
    EXPECT_EQ(options_.config_path, file);
    EXPECT_EQ(options_.log_level, log::Level::error);
}

TEST_F(CommandLine, DoesNotServeWithBadSettings) {
    const auto file = write("bad.toml", "a = 1\n");
    testing::internal::CaptureStderr();
    EXPECT_EQ(answer({"--config", file.c_str()}), 1);
    EXPECT_THAT(testing::internal::GetCapturedStderr(),
                HasSubstr("config: " + file + ":1:1: key `a`: is not known"));
    EXPECT_FALSE(served_);
}

}  // namespace
}  // namespace sluice::app
