/// A subscriber that stops reading: the others get everything, and the process does not grow beyond what the
/// limits say.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/support/sluiced_process.hpp"
#include "tests/system/mqtt_client.hpp"

namespace sluice::test {
namespace {

using wire::QoS;

constexpr int message_count = 100'000;
constexpr std::size_t mib = 1 << 20;

/// What the process has in memory; `field` of /proc/PID/status, in bytes.
std::size_t memory_of(pid_t pid, const std::string& field) {
    std::ifstream in(fmt::format("/proc/{}/status", pid));
    for (std::string word; in >> word;) {
        std::size_t kib = 0;
        if (word == field + ":" && in >> kib) return kib * 1024;
    }
    return 0;
}

class SlowReader : public ::testing::Test {
  protected:
    void start(const std::string& limits) {
        ASSERT_TRUE(broker_.start(fmt::format(
            "[broker]\ndata_dir = \"{}/data\"\nthreads = 2\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n"
            "anonymous = true\n[limits]\n{}",
            folder_.path().string(), limits)))
            << broker_.log();
    }
    void subscriber(MqttClient& client, const std::string& id, QoS qos) {
        ASSERT_TRUE(client.connect(broker_.port(), {.client_id = id}));
        ASSERT_TRUE(client.subscribe("t/#", qos));
    }
    /// QoS 1, no further ahead of `received` than a queue of the healthy one takes.
    void publish_all(const std::atomic<int>& received) {
        MqttClient publisher;
        ASSERT_TRUE(publisher.connect(broker_.port(), {.client_id = "publisher"}));
        const std::string payload(200, 'x');
        constexpr int window = 80;
        for (int sent = 0; sent < message_count; sent += window) {
            for (int i = 0; i < window; ++i)
                publisher.publish("t/x", payload, QoS::at_least_once, static_cast<wire::PacketId>(i + 1));
            for (int i = 0; i < window; ++i) ASSERT_TRUE(publisher.receive()) << sent << broker_.log();
            const auto deadline = std::chrono::steady_clock::now() + MqttClient::patience;
            while (sent - received > 2000 && std::chrono::steady_clock::now() < deadline)
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

TEST_F(SlowReader, delays_nobody_and_costs_what_the_limits_say) {
    start(
        "queue_messages_max = 5000\nqueue_bytes_max = \"4MiB\"\nwrite_buffer_bytes_max = \"1MiB\"\n"
        "memory_max = \"64MiB\"\n");
    MqttClient slow_0, slow_1, healthy;
    subscriber(slow_0, "slow of QoS 0", QoS::at_most_once);
    subscriber(slow_1, "slow of QoS 1", QoS::at_least_once);
    subscriber(healthy, "healthy", QoS::at_least_once);
    const std::size_t before = memory_of(broker_.pid(), "VmRSS");
    std::atomic<int> received{0};
    std::thread reader([&] {
        while (received < message_count && healthy.receive_message()) ++received;
    });
    publish_all(received);
    reader.join();
    EXPECT_EQ(received, message_count) << broker_.log();
    // A queue of 4 MiB, a buffer of 1 MiB, the same again for what the allocator and the structures around
    // them take, and what a busy broker needs anyway.
    EXPECT_LT(memory_of(broker_.pid(), "VmHWM"), before + 20 * mib) << "from " << before;
    EXPECT_TRUE(broker_.stop());
}

}  // namespace
}  // namespace sluice::test
