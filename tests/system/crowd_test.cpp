/// Ten thousand connections that say nothing, or one byte a second, and a real client among them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/support/sluiced_process.hpp"
#include "tests/system/byte_client.hpp"
#include "tests/system/mosquitto.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

constexpr std::size_t crowd_size = 10'000;

/// Half of them trickle: one byte of a CONNECT without end in each second.
class Crowd {
  public:
    Crowd(std::uint16_t port, std::size_t size) {
        for (std::size_t i = 0; i < size; ++i) {
            members_.emplace_back(port);
            if (!members_.back().connected()) break;
        }
        trickle_ = std::thread([this] {
            // 65 KB of client id are to come.
            const std::string begin("\x10\x92\x80\x04\x00\x04MQTT\x05\x02\x00\x00\x00\xff\xff", 17);
            for (std::size_t byte = 0; !over_; ++byte) {
                const char next = byte < begin.size() ? begin[byte] : 'x';
                for (std::size_t i = 0; i < members_.size() && !over_; i += 2) members_[i].send({&next, 1});
                for (int i = 0; i < 100 && !over_; ++i) std::this_thread::sleep_for(10ms);
            }
        });
    }
    ~Crowd() {
        over_ = true;
        trickle_.join();
    }
    std::size_t size() const { return members_.size(); }
    /// Those that the broker has not closed.
    std::size_t still_connected() const {
        return static_cast<std::size_t>(
            std::count_if(members_.begin(), members_.end(), [](const auto& member) {
                char byte = 0;
                const ssize_t n = ::recv(member.descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
                return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
            }));
    }

  private:
    std::vector<ByteClient> members_;
    std::atomic<bool> over_{false};
    std::thread trickle_;
};

class CrowdAtTheDoor : public ::testing::Test {
  protected:
    /// Of this process; the broker inherits it.
    static bool may_open(std::size_t files) {
        rlimit limit{};
        if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < files) return false;
        limit.rlim_cur = limit.rlim_max;
        return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
    }
    void start(const std::string& limits) {
        ASSERT_TRUE(
            broker_.start("[broker]\ndata_dir = \"data\"\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n"
                          "anonymous = true\n[limits]\nconnect_timeout = \"1h\"\n" +
                          limits))
            << broker_.log();
    }
    /// How long a client takes from its start to the PUBACK, in the middle of some attempts; each succeeds.
    Steady::duration publish_time() {
        std::vector<Steady::duration> times;
        for (int i = 0; i < 5; ++i) {
            const auto begin = Steady::now();
            const auto sent = mosquitto_pub(
                {"-h", "127.0.0.1", "-p", std::to_string(broker_.port()), "-q", "1", "-t", "a", "-m", "x"});
            times.push_back(Steady::now() - begin);
            EXPECT_EQ(sent.exit_code, 0) << sent.err;
        }
        std::sort(times.begin(), times.end());
        return times[times.size() / 2];
    }
    bool settles_at(const Crowd& crowd, std::size_t members) {
        const auto deadline = Steady::now() + 30s;
        while (crowd.still_connected() > members && Steady::now() < deadline)
            std::this_thread::sleep_for(20ms);
        return crowd.still_connected() <= members;
    }

    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

TEST_F(CrowdAtTheDoor, keeps_nobody_out_when_all_of_it_may_stay) {
    if (!may_open(crowd_size + 500)) GTEST_SKIP() << "the hard limit of open files is below 10,500";
    start("handshakes_max = 20000\n");
    const Crowd crowd(broker_.port(), crowd_size);
    ASSERT_EQ(crowd.size(), crowd_size);
    EXPECT_LT(publish_time(), 1s);
    EXPECT_EQ(crowd.still_connected(), crowd_size) << "nobody had to give way";
    EXPECT_TRUE(broker_.stop());
}

TEST_F(CrowdAtTheDoor, gives_way_to_a_real_client_when_there_are_too_many) {
    if (!may_open(crowd_size + 500)) GTEST_SKIP() << "the hard limit of open files is below 10,500";
    start("");
    const Crowd crowd(broker_.port(), crowd_size);
    ASSERT_EQ(crowd.size(), crowd_size);
    EXPECT_LT(publish_time(), 1s);
    EXPECT_TRUE(settles_at(crowd, 1000)) << crowd.still_connected() << " stay; limits.handshakes_max is 1000";
    EXPECT_GE(crowd.still_connected(), 900U);
    // Thousands were turned away, which must not fill the journal.
    const std::string log = broker_.log();
    EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 1000);
    EXPECT_THAT(log, ::testing::HasSubstr("limits.handshakes_max"));
    EXPECT_TRUE(broker_.stop());
}

// The limit falls below what was counted with at the start, so that accept() itself fails.
TEST_F(CrowdAtTheDoor, keeps_nobody_out_when_there_are_no_descriptors_left) {
    if (!may_open(2000)) GTEST_SKIP() << "the hard limit of open files is below 2,000";
    start("");
    rlimit few{};
    few.rlim_cur = few.rlim_max = 300;
    ASSERT_EQ(::prlimit(broker_.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
    const Crowd crowd(broker_.port(), 800);
    ASSERT_EQ(crowd.size(), 800U);
    EXPECT_LT(publish_time(), 1s);
    EXPECT_TRUE(broker_.wait_for_log("the process may open no more files")) << broker_.log();
    EXPECT_TRUE(settles_at(crowd, 300)) << crowd.still_connected();
    EXPECT_TRUE(broker_.stop());
}

}  // namespace
}  // namespace sluice::test
