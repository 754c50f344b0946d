#include "app/systemd.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace sluice::app {
namespace {

/// The other end of $NOTIFY_SOCKET.
class Systemd : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "sluice-notify-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
        const std::string path = folder_ + "/notify";
        fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        ASSERT_LT(path.size(), sizeof address.sun_path);
        std::memcpy(address.sun_path, path.c_str(), path.size());
        ASSERT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    }
    void TearDown() override {
        ::unsetenv("NOTIFY_SOCKET");
        ::close(fd_);
        std::filesystem::remove_all(folder_);
    }
    std::string heard() const {
        char block[1000];
        const ssize_t got = ::recv(fd_, block, sizeof block, MSG_DONTWAIT);
        return got < 0 ? "" : std::string(block, static_cast<std::size_t>(got));
    }

    std::string folder_;
    int fd_ = -1;
};

TEST_F(Systemd, HearsEachState) {
    systemd::notify_ready("serving 3 listeners");
    EXPECT_EQ(heard(), "READY=1\nSTATUS=serving 3 listeners");
    systemd::notify_reloading();
    EXPECT_THAT(heard(), testing::MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+"));
    systemd::notify_status("a\nREADY=0");
    EXPECT_EQ(heard(), "STATUS=a\\x0aREADY=0");
    systemd::notify_watchdog();
    EXPECT_EQ(heard(), "WATCHDOG=1");
    systemd::notify_extend_timeout(std::chrono::seconds(2));
    EXPECT_EQ(heard(), "EXTEND_TIMEOUT_USEC=2000000");
    systemd::notify_stopping("bye");
    EXPECT_EQ(heard(), "STOPPING=1\nSTATUS=bye");
}

TEST(SystemdAbsent, IsNoError) {
    ::unsetenv("NOTIFY_SOCKET");
    systemd::notify_ready("x");
    ::unsetenv("WATCHDOG_USEC");
    EXPECT_FALSE(systemd::watchdog_period());
    ::setenv("WATCHDOG_USEC", "30000000", 1);
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
    EXPECT_EQ(systemd::watchdog_period(), std::chrono::seconds(30));
    ::unsetenv("WATCHDOG_USEC");
    ::unsetenv("WATCHDOG_PID");
}

}  // namespace
}  // namespace sluice::app
