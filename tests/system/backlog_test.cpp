/// A queue much larger than memory: it costs disk, the broker is back at once after a `kill -9` with it, and
/// it comes in order. $SLUICE_BACKLOG_MESSAGES says how many; two million is what the documentation speaks
/// of.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/process_memory.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/mqtt_client.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using wire::QoS;
using Steady = std::chrono::steady_clock;

constexpr double mib = 1 << 20;

std::uint64_t messages() {
    const char* given = std::getenv("SLUICE_BACKLOG_MESSAGES");
    return given ? std::strtoull(given, nullptr, 10) : 100'000;
}

double seconds_since(Steady::time_point begin) {
    return std::chrono::duration<double>(Steady::now() - begin).count();
}

class Backlog : public ::testing::Test {
  protected:
    void start() {
        ASSERT_TRUE(broker_.start(fmt::format(
            "[broker]\ndata_dir = \"{}/data\"\nthreads = 2\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n"
            "anonymous = true\n[limits]\nqueue_messages_max = 100000000\nqueue_bytes_max = \"16GiB\"\n"
            "receive_maximum = 1000\ninflight_max = 1000\n",
            folder_.path().string())))
            << broker_.log();
    }
    double resident_mib() const { return static_cast<double>(memory_of(broker_.pid(), "VmRSS")) / mib; }
    void publish(std::uint64_t count) {
        MqttClient publisher;
        ASSERT_TRUE(publisher.connect(broker_.port(), {.client_id = "publisher"}));
        constexpr std::uint64_t at_once = 1000;
        std::uint64_t acknowledged = 0;
        for (std::uint64_t sent = 0; acknowledged < count;) {
            for (; sent < count && sent - acknowledged < at_once; ++sent) {
                std::string payload = fmt::format("{} ", sent);
                payload.resize(256, 'x');
                publisher.publish("b/x", payload, QoS::at_least_once,
                                  static_cast<wire::PacketId>(sent % 60000 + 1));
            }
            ASSERT_TRUE(publisher.receive());
            ++acknowledged;
        }
        publisher.disconnect();
    }

    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

TEST_F(Backlog, costs_no_memory_and_no_time_at_the_start_and_comes_in_order) {
    const MqttClient::Session session{
        .client_id = "reader", .clean_start = false, .expiry_s = 36000, .receive_maximum = 1000};
    ASSERT_NO_FATAL_FAILURE(start());
    MqttClient reader;
    ASSERT_TRUE(reader.connect(broker_.port(), session));
    ASSERT_TRUE(reader.subscribe("b/#", QoS::at_least_once));
    reader.disconnect();
    const double before = resident_mib();
    auto begun = Steady::now();
    ASSERT_NO_FATAL_FAILURE(publish(messages()));
    const double publish_s = seconds_since(begun), grown = resident_mib() - before;
    broker_.kill();

    begun = Steady::now();
    ASSERT_NO_FATAL_FAILURE(start());
    ASSERT_TRUE(reader.connect(broker_.port(), session));
    const double start_s = seconds_since(begun);
    begun = Steady::now();
    for (std::uint64_t i = 0; i < messages(); ++i) {
        const auto message = reader.receive_message();
        ASSERT_TRUE(message) << i << " of " << messages();
        ASSERT_EQ(std::strtoull(message->payload.c_str(), nullptr, 10), i);
    }
    const double drain_s = seconds_since(begun), count = static_cast<double>(messages());
    fmt::print(
        "{} messages of 256 B: published {:.0f}/s, memory {:+.1f} MiB, first connection {:.2f} s after "
        "kill -9, drained {:.0f}/s, {:.1f} MiB resident at the end\n",
        messages(), count / publish_s, grown, start_s, count / drain_s, resident_mib());
    EXPECT_LT(grown, 64);
    EXPECT_LT(start_s, 10);
    EXPECT_TRUE(broker_.stop()) << broker_.log();
}

}  // namespace
}  // namespace sluice::test
