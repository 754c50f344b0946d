/// Newcomers at a broker whose cores are all busy: handshakes and live traffic share them by priority, and
/// neither keeps the other out.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/support/sluiced_process.hpp"
#include "tests/support/thread_time.hpp"
#include "tests/system/mosquitto.hpp"
#include "tests/system/mqtt_client.hpp"
#include "tests/system/paths.hpp"
#include "wire/encode.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

/// QoS 0 messages without end to many who do not read: work for a shard, and little for us.
class Flood {
  public:
    Flood(std::uint16_t port, int number) : thread_([this, port, number] { run(port, number); }) {}
    ~Flood() {
        over_ = true;
        thread_.join();
    }

  private:
    static constexpr int readers = 50;

    void run(std::uint16_t port, int number) {
        const std::string topic = fmt::format("flood/{}", number);
        std::vector<std::unique_ptr<MqttClient>> deaf;
        for (int i = 0; i < readers; ++i) {
            deaf.push_back(std::make_unique<MqttClient>());
            if (!deaf.back()->connect(port, {.client_id = fmt::format("deaf-{}-{}", number, i)})) return;
            deaf.back()->subscribe(topic, wire::QoS::at_most_once);
        }
        MqttClient publisher;
        if (!publisher.connect(port, {.client_id = fmt::format("flood-{}", number)})) return;
        const std::string payload(64, 'x');
        while (!over_ && publisher.connected()) publisher.publish(topic, payload, wire::QoS::at_most_once, 0);
    }

    std::atomic<bool> over_{false};
    std::thread thread_;
};

/// Work for the store: what is published waits for somebody who is away.
class Durable {
  public:
    explicit Durable(std::uint16_t port) : thread_([this, port] { run(port); }) {}
    ~Durable() {
        over_ = true;
        thread_.join();
    }

  private:
    static constexpr wire::PacketId at_once = 50;

    void run(std::uint16_t port) {
        MqttClient away, publisher;
        if (!away.connect(port, {.client_id = "away", .expiry_s = 3600})) return;
        away.subscribe("durable", wire::QoS::at_least_once);
        away.disconnect();
        if (!publisher.connect(port, {.client_id = "durable"})) return;
        while (!over_ && publisher.connected()) {
            for (wire::PacketId id = 1; id <= at_once; ++id)
                publisher.publish("durable", "x", wire::QoS::at_least_once, id);
            for (wire::PacketId id = 1; id <= at_once; ++id) publisher.receive();
        }
    }

    std::atomic<bool> over_{false};
    std::thread thread_;
};

class Newcomers : public ::testing::Test {
  protected:
    void SetUp() override {
        const auto made =
            run_command({source("certs/make-dev-certs"), "--out", folder_.path(), "--devices", "1"});
        ASSERT_EQ(made.exit_code, 0) << made.err;
        const std::string door = "[[listener]]\naddress = \"127.0.0.1\"\nport = 0\nanonymous = true\n";
        ASSERT_TRUE(broker_.start("[broker]\ndata_dir = \"data\"\nthreads = 2\n" + door + door +
                                  "tls.certificate = \"server.crt\"\ntls.key = \"server.key\"\n"))
            << broker_.log();
    }
    /// A thread gives itself its name as the first thing it does, which may be a while after its start.
    pid_t thread(const std::string& name) const {
        const auto deadline = Steady::now() + MqttClient::patience;
        while (Steady::now() < deadline) {
            const auto threads = threads_of(broker_.pid());
            if (const auto found = threads.find(name); found != threads.end()) return found->second;
            std::this_thread::sleep_for(10ms);
        }
        ADD_FAILURE() << "no thread " << name;
        return 0;
    }
    /// The same once it has made its wish of the kernel, which is the second thing.
    ThreadTime settled_time(const std::string& name, auto&& settled) const {
        const pid_t id = thread(name);
        const auto deadline = Steady::now() + MqttClient::patience;
        while (!settled(thread_time(id)) && Steady::now() < deadline) std::this_thread::sleep_for(10ms);
        return thread_time(id);
    }
    /// Both shards have got a part of a core's time since.
    bool shards_work() const {
        const pid_t shards[] = {thread("shard-0"), thread("shard-1")};
        const double before[] = {core_seconds(shards[0]), core_seconds(shards[1])};
        const auto deadline = Steady::now() + MqttClient::patience;
        while (Steady::now() < deadline) {
            if (core_seconds(shards[0]) > before[0] + 0.2 && core_seconds(shards[1]) > before[1] + 0.2)
                return true;
            std::this_thread::sleep_for(10ms);
        }
        return false;
    }
    /// From the start of a client to its PUBACK, in the middle of some attempts; each succeeds.
    Steady::duration tls_publish_time() {
        std::vector<Steady::duration> times;
        for (int i = 0; i < 5; ++i) {
            const auto begin = Steady::now();
            const auto sent =
                mosquitto_pub({"-h", "localhost", "-p", std::to_string(broker_.port(1)), "--cafile",
                               (folder_.path() / "ca.crt").string(), "-q", "1", "-t", "a", "-m", "x"});
            times.push_back(Steady::now() - begin);
            EXPECT_EQ(sent.exit_code, 0) << sent.err << broker_.log();
        }
        std::sort(times.begin(), times.end());
        return times[times.size() / 2];
    }

    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

TEST_F(Newcomers, handshakes_stand_behind_live_traffic_in_the_kernels_order) {
    const ThreadTime ordinary = thread_time(broker_.pid());
    const bool has_slices = ordinary.slice_ns != 0;
    const ThreadTime shard = settled_time(
        "shard-0", [&](const auto& time) { return !has_slices || time.slice_ns < ordinary.slice_ns; });
    const ThreadTime listener =
        settled_time("listener", [&](const auto& time) { return time.nice != ordinary.nice; });
    EXPECT_EQ(shard.policy, ordinary.policy);
    EXPECT_EQ(shard.nice, ordinary.nice);
    EXPECT_EQ(listener.policy, ordinary.policy) << "one that only gets what is left could starve";
    EXPECT_EQ(listener.nice, std::min(ordinary.nice + 5, 19));
    if (!has_slices) GTEST_SKIP() << "from Linux 6.12 on a thread may choose its slice";
    EXPECT_LT(shard.slice_ns, listener.slice_ns) << "a woken shard takes the core from a handshake";
}

TEST_F(Newcomers, are_let_in_within_a_second_while_every_core_is_busy) {
    // Others may keep this machine busy too: a second, or so many times what it takes without our own load.
    const Steady::duration longest = std::max<Steady::duration>(1s, 20 * tls_publish_time());
    const Durable durable(broker_.port());
    const Flood first(broker_.port(), 1), second(broker_.port(), 2), third(broker_.port(), 3);
    ASSERT_TRUE(shards_work()) << broker_.log();
    EXPECT_LT(tls_publish_time(), longest);
    ASSERT_TRUE(shards_work()) << broker_.log();
}

}  // namespace
}  // namespace sluice::test
