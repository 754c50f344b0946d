/// A disk that gets full under load: nothing crashes, acknowledgements wait, nothing that was acknowledged is
/// lost, an alarm is raised, and all goes on without a restart when there is room. On a small file system of
/// its own.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <thread>

#include "tests/support/run_command.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/load_publisher.hpp"
#include "tests/system/paths.hpp"
#include "tests/system/steady_subscriber.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using wire::QoS;
using Steady = std::chrono::steady_clock;

class FullDisk : public ::testing::Test {
  protected:
    void SetUp() override {
        std::filesystem::create_directory(data());
        if (::mount("tmpfs", data().c_str(), "tmpfs", 0, "size=28m") != 0)
            GTEST_SKIP() << "a tmpfs cannot be mounted here (root only): " << std::strerror(errno);
        mounted_ = true;
        start();
        ASSERT_TRUE(subscriber_.connect(broker_.port()));
        subscriber_.disconnect();
        ASSERT_TRUE(publisher_.connect(broker_.port()));
    }
    void TearDown() override {
        if (!mounted_) return;
        EXPECT_TRUE(!broker_.running() || broker_.stop()) << broker_.log();
        EXPECT_EQ(::umount(data().c_str()), 0);
    }
    std::filesystem::path data() const { return folder_.path() / "data"; }
    void start() {
        ASSERT_TRUE(broker_.start(fmt::format(
            "[broker]\ndata_dir = \"{}\"\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\nanonymous = true\n"
            "[admin]\nport = 0\n[limits]\nqueue_messages_max = 10000000\nqueue_bytes_max = \"4GiB\"\n"
            "[store]\nfree_min = \"3MiB\"\n",
            data().string())))
            << broker_.log();
    }
    int health() const {
        return run_command({program("sluicectl"), "--url",
                            fmt::format("http://127.0.0.1:{}", broker_.admin_port()), "health"})
            .exit_code;
    }
    bool publish_until_nothing_is_acknowledged() {
        for (const auto deadline = Steady::now() + 60s; Steady::now() < deadline;) {
            const std::size_t before = publisher_.acknowledged().size();
            publisher_.run(1s, 1e6);
            if (publisher_.acknowledged().size() == before) return true;
        }
        return false;
    }
    void expect_all_received() {
        const auto found = subscriber_.topics().find("load/t");
        ASSERT_NE(found, subscriber_.topics().end());
        std::size_t missing = 0;
        for (const auto number : publisher_.acknowledged())
            missing += found->second.numbers.contains(number) ? 0U : 1U;
        fmt::print("acknowledged {} missing {}\n", publisher_.acknowledged().size(), missing);
        EXPECT_EQ(missing, 0U);
        EXPECT_EQ(found->second.out_of_order, 0U);
    }

    bool mounted_ = false;
    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
    LoadPublisher publisher_{"publisher", "load/t", QoS::at_least_once};
    SteadySubscriber subscriber_{"subscriber", "load/#", QoS::at_least_once};
};

TEST_F(FullDisk, a_queue_that_fills_it_waits_and_is_drained) {
    ASSERT_TRUE(publish_until_nothing_is_acknowledged());
    EXPECT_GT(publisher_.acknowledged().size(), 1000U);
    EXPECT_FALSE(broker_.wait(0ms).has_value());
    EXPECT_EQ(health(), 1) << "an alarm";
    EXPECT_THAT(broker_.log(), HasSubstr("publishers wait"));
    ASSERT_TRUE(subscriber_.connect(broker_.port())) << broker_.log();
    std::thread drains([&] { subscriber_.run(5s); });
    EXPECT_TRUE(publisher_.finish(60s)) << broker_.log();
    drains.join();
    expect_all_received();
    EXPECT_EQ(health(), 0);
}

TEST_F(FullDisk, others_who_fill_it_are_outlived) {
    publisher_.run(500ms, 2000);
    const auto filler = data() / "of-somebody-else";
    {
        std::ofstream out(filler, std::ios::binary);
        const std::string block(64 * 1024, 'f');
        while (out.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
        }
    }
    ASSERT_TRUE(publish_until_nothing_is_acknowledged());
    EXPECT_EQ(health(), 1) << "an alarm";
    std::filesystem::remove(filler);
    EXPECT_TRUE(publisher_.finish(60s)) << broker_.log();
    publisher_.run(500ms, 2000);
    EXPECT_TRUE(publisher_.finish(60s));
    EXPECT_EQ(health(), 0);
    broker_.kill();
    start();
    ASSERT_TRUE(subscriber_.connect(broker_.port())) << broker_.log();
    subscriber_.run(3s);
    expect_all_received();
}

// And whoever publishes to those who are there is not slowed, full or not.
TEST_F(FullDisk, an_alarm_goes_without_traffic_and_what_is_not_kept_does_not_wait) {
    const auto filler = data() / "of-somebody-else";
    {
        std::ofstream out(filler, std::ios::binary);
        const std::string block(64 * 1024, 'f');
        while (std::filesystem::space(data()).available > (3U << 20) + block.size())
            ASSERT_TRUE(out.write(block.data(), static_cast<std::streamsize>(block.size())).flush());
    }
    publisher_.run(200ms, 100);
    EXPECT_EQ(health(), 1);
    SteadySubscriber live("live", "live/#", QoS::at_least_once, 0);
    ASSERT_TRUE(live.connect(broker_.port()));
    LoadPublisher other("other", "live/t", QoS::at_least_once);
    ASSERT_TRUE(other.connect(broker_.port()));
    std::thread reads([&] { live.run(2s); });
    other.run(500ms, 1000);
    EXPECT_TRUE(other.finish(5s));
    reads.join();
    EXPECT_GT(other.acknowledged().size(), 200U);
    std::filesystem::remove(filler);
    const auto deadline = Steady::now() + 20s;
    while (health() != 0 && Steady::now() < deadline) std::this_thread::sleep_for(100ms);
    EXPECT_EQ(health(), 0) << broker_.log();
}

// Nor does it matter that the power goes while it is full.
TEST_F(FullDisk, a_start_on_a_full_disk_serves_what_is_there) {
    ASSERT_TRUE(publish_until_nothing_is_acknowledged());
    std::ofstream filler(data() / "of-somebody-else", std::ios::binary);
    const std::string block(4096, 'f');
    while (filler.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
    broker_.kill();
    publisher_.take_last_words();
    start();
    ASSERT_TRUE(subscriber_.connect(broker_.port())) << broker_.log();
    subscriber_.run(5s);
    expect_all_received();
}

}  // namespace
}  // namespace sluice::test
