// A subscriber that stops reading delays nobody and costs a bounded amount; and limits.memory_max bounds all
// of them together.
#include <gtest/gtest.h>

#include <atomic>

#include "base/memory_gauge.hpp"
#include "tests/unit/shard/shard_fixture.hpp"

namespace sluice::shard::test {
namespace {

using wire::QoS;

constexpr std::uint64_t mib = 1 << 20;

/// Watches what the process holds while it lives.
class Peak {
  public:
    Peak() : before_(memory_gauge::total()) {
        thread_ = std::thread([this] {
            while (!stop_) {
                peak_ = std::max(peak_, memory_gauge::total());
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
        });
    }
    ~Peak() { bytes(); }
    /// The most that was held more than in the beginning.
    std::uint64_t bytes() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
        return peak_ > before_ ? peak_ - before_ : 0;
    }

  private:
    const std::uint64_t before_;
    std::uint64_t peak_ = 0;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

std::uint64_t drops(const Counters& counters, core::DropReason reason) {
    return counters.drops[static_cast<std::size_t>(reason)].get();
}

TEST(SlowReader, OfQoS0DelaysNobodyAndCostsNoMoreThanItsBuffer) {
    constexpr int messages = 100'000, window = 1000;
    Limits limits;
    limits.write_buffer_bytes_max = mib / 2;
    RunningShard shard(limits);
    Peer slow(*shard, "slow"), healthy(*shard, "healthy"), publisher(*shard, "publisher");
    slow.subscribe("t/#", QoS::at_most_once);
    healthy.subscribe("t/#", QoS::at_most_once);
    Peak peak;
    const std::string payload(100, 'x');
    int received = 0;
    for (int sent = 0; sent < messages; sent += window) {
        for (int i = 0; i < window; ++i) ASSERT_TRUE(publisher.publish("t/1", payload));
        while (received < sent + window && healthy.next_message()) ++received;
        ASSERT_EQ(received, sent + window);
    }
    EXPECT_GT(drops(shard.counters(), core::DropReason::congested_qos0), 10'000U);
    // Its own, and what a window of messages is worth.
    EXPECT_LT(peak.bytes(), 2 * mib);
}

TEST(SlowReader, OfQoS1CostsNoMoreThanItsQueue) {
    constexpr int messages = 20'000, window = 50;
    Limits limits;
    limits.queue_messages_max = 500;
    RunningShard shard(limits);
    Peer slow(*shard, "slow"), healthy(*shard, "healthy"), publisher(*shard, "publisher");
    slow.subscribe("t/#", QoS::at_least_once);
    healthy.subscribe("t/#", QoS::at_least_once);
    Peak peak;
    const std::string payload(1000, 'x');
    int received = 0;
    for (int sent = 0; sent < messages; sent += window) {
        for (int i = 1; i <= window; ++i)
            ASSERT_TRUE(
                publisher.publish("t/1", payload, QoS::at_least_once, static_cast<wire::PacketId>(i)));
        while (received < sent + window && healthy.next_message()) ++received;
        ASSERT_EQ(received, sent + window);
        for (int i = 0; i < window; ++i) ASSERT_EQ(publisher.next(), wire::PacketType::puback);
    }
    EXPECT_EQ(drops(shard.counters(), core::DropReason::queue_full), messages - 500U - limits.inflight_max);
    EXPECT_LT(peak.bytes(), 2 * mib);
}

TEST(SlowReader, OfAnswersIsHeardNoFurtherUntilItReads) {
    constexpr std::size_t pings = 2'000'000;
    RunningShard shard(Limits{});
    Peer slow(*shard, "slow"), healthy(*shard, "healthy");
    healthy.subscribe("t", QoS::at_most_once);
    ByteBuffer out;
    while (out.size() < 2 * pings) out.insert(out.end(), {0xC0, 0x00});
    // Rounds of the shard in which it took nothing, each proved by a message that came through.
    std::size_t sent = 0;
    for (int idle = 0; sent < out.size() && idle < 20;) {
        const std::size_t taken = slow.send_some(out, sent);
        sent += taken;
        idle = taken > 0 ? 0 : idle + 1;
        ASSERT_TRUE(healthy.publish("t", "") && healthy.next_message());
    }
    // The mark, a read beyond it, and what the system keeps for both directions.
    EXPECT_LT(sent, 2 * mib) << "it was heard while it did not read";
    std::thread rest(
        [&] { slow.send(ByteBuffer(out.begin() + static_cast<std::ptrdiff_t>(sent), out.end())); });
    EXPECT_TRUE(slow.takes(out.size()));
    rest.join();
    EXPECT_TRUE(wait_for([&] { return shard.counters().packets_received.get() >= pings; }));
}

TEST(SlowReader, OfMessagesIsHeard) {
    RunningShard shard(Limits{});
    Peer slow(*shard, "slow"), healthy(*shard, "healthy");
    slow.subscribe("t/#", QoS::at_least_once);
    healthy.subscribe("u", QoS::at_most_once);
    const std::string payload(50'000, 'x');
    for (wire::PacketId id = 1; id <= 30; ++id) {
        ASSERT_TRUE(healthy.publish("t/1", payload, QoS::at_least_once, id));
        ASSERT_EQ(healthy.next(), wire::PacketType::puback);
    }
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(slow.publish("u", ""));
        EXPECT_TRUE(healthy.next_message());
    }
}

/// One shard with a budget, one subscriber of QoS 1 that stops reading, one that reads.
class MemoryMax : public testing::Test {
  protected:
    static Limits limits() {
        Limits limits;
        limits.memory_max = memory_gauge::total() + 16 * mib;
        limits.queue_messages_max = 1'000'000;
        limits.write_buffer_bytes_max = 1024 * mib;
        return limits;
    }
    /// Publishes and receives until `count` messages have come through.
    void pump(Peer& publisher, Peer& healthy, int count, QoS qos) {
        const std::string payload(4000, 'x');
        for (int i = 0; i < count; ++i) {
            ASSERT_TRUE(publisher.publish("t/1", payload, qos, qos == QoS::at_most_once ? 0 : 1)) << i;
            ASSERT_TRUE(healthy.next_message()) << i;
            if (qos != QoS::at_most_once) {
                ASSERT_EQ(publisher.next(), wire::PacketType::puback) << i;
            }
        }
    }
    RunningShard shard_{limits()};
};

TEST_F(MemoryMax, WhoDoesNotKeepUpGetsNoQoS0) {
    Peer slow(*shard_, "slow"), healthy(*shard_, "healthy"), publisher(*shard_, "publisher");
    slow.subscribe("t/#", QoS::at_most_once);
    healthy.subscribe("t/#", QoS::at_most_once);
    Peak peak;
    pump(publisher, healthy, 10'000, QoS::at_most_once);
    EXPECT_GT(drops(shard_.counters(), core::DropReason::memory), 1000U);
    EXPECT_LT(peak.bytes(), 16 * mib) << "the budget is never reached: no publisher was slowed";
    EXPECT_EQ(shard_.counters().publishers_slowed.get(), 0U);
}

TEST_F(MemoryMax, AStalledQueueIsShedAndTheOthersGoOn) {
    Peer slow(*shard_, "slow"), healthy(*shard_, "healthy"), publisher(*shard_, "publisher");
    slow.subscribe("t/#", QoS::at_least_once);
    healthy.subscribe("t/#", QoS::at_least_once);
    Peak peak;
    pump(publisher, healthy, 10'000, QoS::at_least_once);
    EXPECT_GT(drops(shard_.counters(), core::DropReason::memory), 1000U);
    EXPECT_GT(shard_.counters().publishers_slowed.get(), 0U);
    EXPECT_LT(peak.bytes(), 17 * mib);
}

TEST_F(MemoryMax, RecoversWhenTheSlowOneIsGone) {
    Peer healthy(*shard_, "healthy"), publisher(*shard_, "publisher");
    healthy.subscribe("t/#", QoS::at_least_once);
    {
        Peer slow(*shard_, "slow");
        slow.subscribe("t/#", QoS::at_least_once);
        pump(publisher, healthy, 6000, QoS::at_least_once);
        ASSERT_GT(shard_.counters().publishers_slowed.get(), 0U);
    }
    ASSERT_TRUE(wait_for([&] { return shard_.counters().connections.get() == 2; }));
    pump(publisher, healthy, 10, QoS::at_least_once);
    const auto slowed = shard_.counters().publishers_slowed.get();
    pump(publisher, healthy, 2000, QoS::at_least_once);
    EXPECT_EQ(shard_.counters().publishers_slowed.get(), slowed);
}

TEST_F(MemoryMax, PersistentQueuesAreLeftToTheStore) {
    {
        Peer offline(*shard_, "offline", [](Admission& a) {
            a.clean_start = false;
            a.session_expiry_interval_s = 3600;
        });
        offline.subscribe("t/#", QoS::at_least_once);
    }
    ASSERT_TRUE(wait_for([&] { return shard_.counters().connections.get() == 0; }));
    Peer healthy(*shard_, "healthy"), publisher(*shard_, "publisher"), slow(*shard_, "slow");
    healthy.subscribe("t/#", QoS::at_least_once);
    slow.subscribe("u/#", QoS::at_most_once);
    pump(publisher, healthy, 100, QoS::at_least_once);
    const auto with_window = memory_gauge::total();
    // Now something else needs the memory.
    const std::string payload(4000, 'x');
    for (int i = 0; i < 6000; ++i) ASSERT_TRUE(publisher.publish("u/1", payload));
    ASSERT_TRUE(wait_for([&] { return drops(shard_.counters(), core::DropReason::memory) > 0; }));
    slow.close();
    ASSERT_TRUE(wait_for([&] { return shard_.counters().connections.get() == 2; }));
    pump(publisher, healthy, 1, QoS::at_least_once);
    EXPECT_TRUE(wait_for([&] { return memory_gauge::total() + 300'000 < with_window; }))
        << "the window of the offline session is still in memory";
}

TEST_F(MemoryMax, AClientThatTakesNothingIsDisconnectedWhenNothingElseHelps) {
    Peer publisher(*shard_, "publisher"), healthy(*shard_, "healthy");
    healthy.subscribe("t/#", QoS::at_most_once);
    // Together they have more than the budget in flight, which is never shed.
    std::vector<std::unique_ptr<Peer>> slow;
    for (int i = 0; i < 20; ++i) {
        slow.push_back(std::make_unique<Peer>(*shard_, "slow" + std::to_string(i)));
        slow.back()->subscribe("big/" + std::to_string(i), QoS::at_least_once);
    }
    const std::string payload(10'000, 'x');
    for (int i = 0; i < 20; ++i) {
        for (wire::PacketId id = 1; id <= 100; ++id) {
            if (!publisher.publish("big/" + std::to_string(i), payload, QoS::at_least_once, id)) break;
            ASSERT_EQ(publisher.next(), wire::PacketType::puback);
        }
    }
    ASSERT_TRUE(wait_for([&] { return shard_.counters().connections.get() < 22; }));
    pump(publisher, healthy, 10, QoS::at_most_once);
}

/// Memory that something else in the process holds.
class Ballast {
  public:
    explicit Ballast(std::int64_t bytes) : bytes_(bytes) { memory_gauge::add(bytes_); }
    ~Ballast() { memory_gauge::add(-bytes_); }
    Ballast(const Ballast&) = delete;
    Ballast& operator=(const Ballast&) = delete;

  private:
    const std::int64_t bytes_;
};

// For longer than the patience with those who hold memory and do not move.
TEST_F(MemoryMax, ALongPacketOnASlowLinkIsNoStandstill) {
    constexpr std::size_t packet_bytes = 1'000'000, step_bytes = 10'000;
    Peer watcher(*shard_, "watcher"), client(*shard_, "client"), stuck(*shard_, "stuck");
    watcher.subscribe("t", QoS::at_most_once);
    const std::string payload(packet_bytes, 'x');
    ByteBuffer out;
    wire::encode_publish(out, wire::Version::v5, {.topic = "t", .payload = as_bytes(payload)});
    const Ballast ballast(20 * mib);
    const auto part = [&](std::size_t from, std::size_t to) {
        return ByteBuffer(out.begin() + static_cast<std::ptrdiff_t>(from),
                          out.begin() + static_cast<std::ptrdiff_t>(std::min(to, out.size())));
    };
    // One that has stopped in the middle tells when the patience is over.
    ASSERT_TRUE(stuck.send(part(0, packet_bytes / 2)));
    std::size_t sent = packet_bytes / 10;
    ASSERT_TRUE(client.send(part(0, sent)));
    ASSERT_TRUE(wait_for([&] {
        if (sent + 2 * step_bytes < out.size()) {
            EXPECT_TRUE(client.send(part(sent, sent + step_bytes)));
            sent += step_bytes;
        }
        EXPECT_TRUE(watcher.publish("t", "")) << "what lets the shard look at its memory";
        EXPECT_TRUE(watcher.next_message());
        return shard_.counters().connections.get() < 3;
    }));
    ASSERT_TRUE(client.send(part(sent, out.size())));
    EXPECT_TRUE(watcher.next_message());
    EXPECT_EQ(shard_.counters().connections.get(), 2U);
}

// What takes the memory is elsewhere: this shard has no traffic that would make it look.
TEST_F(MemoryMax, AShardWithoutTrafficGivesItsMemoryToo) {
    {
        Peer offline(*shard_, "offline", [](Admission& a) {
            a.clean_start = false;
            a.session_expiry_interval_s = 3600;
        });
        offline.subscribe("t/#", QoS::at_least_once);
    }
    ASSERT_TRUE(wait_for([&] { return shard_.counters().connections.get() == 0; }));
    Peer healthy(*shard_, "healthy"), publisher(*shard_, "publisher");
    healthy.subscribe("t/#", QoS::at_least_once);
    pump(publisher, healthy, 100, QoS::at_least_once);
    const auto with_window = memory_gauge::total();
    memory_gauge::add(15 * mib);
    EXPECT_TRUE(wait_for([&] {
        (*shard_).post_ping();
        return memory_gauge::total() + 300'000 < with_window + 15 * mib;
    }));
    memory_gauge::add(-static_cast<std::int64_t>(15 * mib));
}

// A client that begins large packets and does not end them holds memory too.
TEST_F(MemoryMax, UnfinishedPacketsCount) {
    Peer client(*shard_, "client");
    ByteBuffer begun{0x30, 0xFF, 0xFF, 0x1F};
    begun.resize(500'000, 0);
    ASSERT_TRUE(client.send(begun));
    EXPECT_TRUE(wait_for([&] { return memory_gauge::unfinished() > 400'000; }));
    client.close();
    EXPECT_TRUE(wait_for([&] { return memory_gauge::unfinished() == 0; }));
}

}  // namespace
}  // namespace sluice::shard::test
