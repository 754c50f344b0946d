#include "listener/listening_socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

namespace sluice::listener {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ListeningSocketTest : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "sluice-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
        unix_.transport = Transport::unix_socket;
        unix_.path = (folder_ / "mqtt.sock").string();
    }
    void TearDown() override { fs::remove_all(folder_); }

    bool can_connect(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof(address.sun_path) - 1);
        return can_connect(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    }
    bool can_connect_to(const char* ip, std::uint16_t port) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        if (::inet_pton(AF_INET, ip, &v4.sin_addr) == 1)
            return can_connect(AF_INET, reinterpret_cast<const sockaddr*>(&v4), sizeof(v4));
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        ::inet_pton(AF_INET6, ip, &v6.sin6_addr);
        return can_connect(AF_INET6, reinterpret_cast<const sockaddr*>(&v6), sizeof(v6));
    }
    static bool can_connect(int family, const sockaddr* address, socklen_t size) {
        const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const bool connected = ::connect(fd, address, size) == 0;
        ::close(fd);
        return connected;
    }
    static unsigned mode_of(const std::string& path) {
        struct stat status {};
        EXPECT_EQ(::lstat(path.c_str(), &status), 0);
        return status.st_mode & 07777;
    }
    static bool has_ipv6() {
        return std::ifstream("/proc/net/if_inet6").peek() != std::ifstream::traits_type::eof();
    }

    boost::asio::io_context context_;
    fs::path folder_;
    ListenerSettings unix_;
};

TEST_F(ListeningSocketTest, UnixSocketHasTheModeWhateverTheUmask) {
    const auto before = ::umask(0077);
    for (const auto& [text, mode] :
         {std::pair{"0660", 0660U}, std::pair{"666", 0666U}, std::pair{"0600", 0600U}}) {
        unix_.mode = text;
        ListeningSocket socket(context_, unix_);
        ASSERT_TRUE(socket.open().ok());
        EXPECT_EQ(mode_of(unix_.path), mode) << text;
        EXPECT_TRUE(can_connect(unix_.path));
        socket.close();
        EXPECT_FALSE(fs::exists(unix_.path));
    }
    ::umask(before);
}

TEST_F(ListeningSocketTest, StaleUnixSocketIsReplacedAServedOneIsNot) {
    {
        ListeningSocket left_behind(context_, unix_);
        ASSERT_TRUE(left_behind.open().ok());
        ListeningSocket second(context_, unix_);
        const auto refused = second.open();
        ASSERT_FALSE(refused.ok());
        EXPECT_THAT(refused.error(), HasSubstr("another process listens there"));
        EXPECT_TRUE(can_connect(unix_.path)) << "the first still listens";
        // Destroyed without close(): as a process that was killed.
    }
    ASSERT_TRUE(fs::exists(unix_.path));
    ASSERT_FALSE(can_connect(unix_.path));
    ListeningSocket fresh(context_, unix_);
    ASSERT_TRUE(fresh.open().ok());
    EXPECT_TRUE(can_connect(unix_.path));
}

TEST_F(ListeningSocketTest, FileThatIsNoSocketIsLeftAlone) {
    std::ofstream(unix_.path) << "precious";
    ListeningSocket socket(context_, unix_);
    const auto refused = socket.open();
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error(), HasSubstr("a file that is no socket"));
    EXPECT_EQ(fs::file_size(unix_.path), 8U);
}

TEST_F(ListeningSocketTest, SocketOfAnotherIsNotTakenAway) {
    ListeningSocket first(context_, unix_);
    ASSERT_TRUE(first.open().ok());
    fs::remove(unix_.path);
    ListeningSocket second(context_, unix_);
    ASSERT_TRUE(second.open().ok());
    first.close();
    EXPECT_TRUE(can_connect(unix_.path));
}

TEST_F(ListeningSocketTest, FolderThatIsMissingIsNamed) {
    unix_.path = (folder_ / "nowhere" / "mqtt.sock").string();
    ListeningSocket socket(context_, unix_);
    const auto refused = socket.open();
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error(), HasSubstr("No such file"));
}

TEST_F(ListeningSocketTest, EveryAddressMeansBothFamilies) {
    if (!has_ipv6()) GTEST_SKIP() << "no IPv6 here";
    ListenerSettings settings;
    settings.port = 0;
    ListeningSocket socket(context_, settings);
    ASSERT_TRUE(socket.open().ok());
    EXPECT_TRUE(can_connect_to("127.0.0.1", socket.port()));
    EXPECT_TRUE(can_connect_to("::1", socket.port()));
    EXPECT_EQ(socket.where(), "*:" + std::to_string(socket.port()));
}

TEST_F(ListeningSocketTest, IPv6AddressesAloneLeaveIPv4Alone) {
    if (!has_ipv6()) GTEST_SKIP() << "no IPv6 here";
    for (const char* address : {"::1", "::"}) {
        ListenerSettings settings;
        settings.address = address;
        settings.port = 0;
        ListeningSocket socket(context_, settings);
        ASSERT_TRUE(socket.open().ok()) << address;
        EXPECT_TRUE(can_connect_to("::1", socket.port()));
        EXPECT_FALSE(can_connect_to("127.0.0.1", socket.port()));
        EXPECT_EQ(socket.where(), "[" + settings.address + "]:" + std::to_string(socket.port()));
        // The same port of the other family is free.
        ListenerSettings other;
        other.address = "127.0.0.1";
        other.port = socket.port();
        ListeningSocket second(context_, other);
        EXPECT_TRUE(second.open().ok());
    }
}

TEST_F(ListeningSocketTest, ManyMayWaitToBeAccepted) {
    int allowed = 0;
    std::ifstream("/proc/sys/net/core/somaxconn") >> allowed;
    ListenerSettings settings;
    settings.address = "127.0.0.1";
    settings.port = 0;
    ListeningSocket socket(context_, settings);
    ASSERT_TRUE(socket.open().ok());
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_port = htons(socket.port());
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // Nobody accepts. On the loopback a connection is complete when connect() returns, or has to wait.
    std::vector<int> waiting;
    for (int i = 0; i < std::min(allowed, 2000); ++i) {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ASSERT_GE(fd, 0) << std::strerror(errno);
        waiting.push_back(fd);
        (void)::connect(fd, reinterpret_cast<const sockaddr*>(&there), sizeof(there));
        pollfd writable{fd, POLLOUT, 0};
        if (::poll(&writable, 1, 500) == 1) continue;
        ADD_FAILURE() << "connection " << i << " finds no room";
        break;
    }
    for (const int fd : waiting) ::close(fd);
}

TEST_F(ListeningSocketTest, ConnectionsSendAtOnceAndAskAfterASilentPeer) {
    ListenerSettings settings;
    settings.address = "127.0.0.1";
    settings.port = 0;
    ListeningSocket socket(context_, settings);
    ASSERT_TRUE(socket.open().ok());
    ASSERT_TRUE(can_connect_to("127.0.0.1", socket.port()));
    auto accepted = socket.acceptor().accept();
    const auto option = [&](int level, int name) {
        int value = -1;
        socklen_t size = sizeof(value);
        EXPECT_EQ(::getsockopt(accepted.native_handle(), level, name, &value, &size), 0);
        return value;
    };
    EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
    const int missed_after_s = option(IPPROTO_TCP, TCP_KEEPIDLE) +
                               option(IPPROTO_TCP, TCP_KEEPINTVL) * option(IPPROTO_TCP, TCP_KEEPCNT);
    EXPECT_LE(missed_after_s, 10 * 60);
}

TEST_F(ListeningSocketTest, PortInUseIsRefused) {
    ListenerSettings settings;
    settings.address = "127.0.0.1";
    settings.port = 0;
    ListeningSocket first(context_, settings);
    ASSERT_TRUE(first.open().ok());
    settings.port = first.port();
    ListeningSocket second(context_, settings);
    const auto refused = second.open();
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error(), HasSubstr("in use"));
}

TEST(Mode, OctalDigitsOnly) {
    EXPECT_EQ(parse_mode("0660"), 0660U);
    EXPECT_EQ(parse_mode("777"), 0777U);
    for (const char* text : {"", "66", "0888", "1777", "00660", "rw-", "0x1f", "-660", "660 "})
        EXPECT_EQ(parse_mode(text), std::nullopt) << text;
}

}  // namespace
}  // namespace sluice::listener
