/// The real broker bridged to a real Kafka, and everything that can go wrong between them: no acknowledged
/// message is lost, and in each partition the first arrivals of a publisher are in its order. What came
/// twice is counted and told.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "tests/contract/kafka_node_peer.hpp"
#include "tests/contract/kafka_records.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/bridge_watch.hpp"
#include "tests/system/load_publisher.hpp"
#include "tests/system/network_namespace.hpp"

namespace sluice::test {
namespace {

using bridge::test::KafkaNodePeer;
using bridge::test::KafkaRecord;
using nlohmann::json;
using Milliseconds = std::chrono::milliseconds;

/// What came of one publisher.
struct Arrivals {
    std::set<std::uint64_t> numbers;
    std::map<int, std::uint64_t> last;  ///< by partition: the highest number of the first arrivals
    std::size_t duplicated = 0, out_of_order = 0;

    void add(const KafkaRecord& record) {
        const auto number = std::strtoull(record.received.payload.c_str(), nullptr, 10);
        if (!numbers.insert(number).second) {
            ++duplicated;
            return;
        }
        std::uint64_t& last_of_partition = last[record.partition];
        out_of_order += number < last_of_partition;
        last_of_partition = std::max<std::uint64_t>(last_of_partition, number);
    }
};

class KafkaOutage : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string why;
        node_ = static_cast<KafkaNodePeer*>(bridge::test::peer_of("kafka_real", why));
        if (!node_) GTEST_SKIP() << why;
        topic_ = ::testing::UnitTest::GetInstance()->current_test_info()->name();
        node_->ask("topic " + topic_ + " 2");
        servers_ = node_->address();
        for (const char* name : {"pump", "valve", "meter"})
            publishers_.emplace_back(name, "plant/" + std::string(name), wire::QoS::at_least_once);
    }

    std::string config() const {
        return fmt::format(R"(
[broker]
data_dir = "{}/data"
threads = 2
[[listener]]
address = "127.0.0.1"
port = 0
anonymous = true
[admin]
port = 0
[[bridge]]
name = "up"
type = "kafka"
servers = ["{}"]
connect_timeout = "2s"
confirm_timeout = "2s"
options = ["topic.metadata.refresh.interval.ms=500"]
[bridge.spool]
{}
[[bridge.route]]
from = "plant/#"
topic = "{}"
)",
                           folder_.path().string(), servers_, spool_, topic_);
    }
    void start_broker() {
        ASSERT_TRUE(broker_.start(config())) << broker_.log();
        for (LoadPublisher& publisher : publishers_) ASSERT_TRUE(publisher.connect(broker_.port()));
    }
    void kill_broker() {
        broker_.kill();
        for (LoadPublisher& publisher : publishers_) publisher.take_last_words();
    }
    /// All publish from before `action` until after it.
    template <class Action>
    void under_load(Action action) {
        std::atomic<bool> enough{false};
        std::vector<std::thread> threads;
        for (LoadPublisher& publisher : publishers_)
            threads.emplace_back([&] {
                do publisher.run(Milliseconds(200), messages_per_s);
                while (!enough);
            });
        action();
        enough = true;
        for (std::thread& thread : threads) thread.join();
    }
    void publish_for(Milliseconds span) {
        under_load([span] { std::this_thread::sleep_for(span); });
    }
    enum class Expected : std::uint8_t { waits, away, up };
    /// A bridge that waits is "blocked" when its connector says why, one that is up under load "progressing".
    void expect_state(Expected expected) {
        static const std::map<Expected, std::set<std::string>> states{
            {Expected::waits, {"stalled", "blocked"}},
            {Expected::away, {"connecting"}},
            {Expected::up, {"connected", "progressing"}}};
        EXPECT_TRUE(wait_for_bridge(
            broker_, [&](const json& s) { return states.at(expected).contains(s.value("state", "")); }))
            << *states.at(expected).begin() << ": " << bridge_status(broker_).dump();
    }
    /// Under load: first short, so that librdkafka rides it out by itself, then until the bridge gives up.
    template <class Cut, class Mend>
    void interrupt(Cut cut, Mend mend) {
        start_broker();
        publish_for(Milliseconds(500));
        under_load([&] {
            for (const Expected until : {Expected::waits, Expected::away}) {
                cut();
                expect_state(until);
                mend();
                expect_state(Expected::up);
            }
        });
        finish();
    }
    bool wait_spool_below(std::uint64_t messages) {
        return wait_for_bridge(broker_, [messages](const json& status) {
            return status.value("spool_messages", messages) < messages;
        });
    }
    void finish() {
        for (LoadPublisher& publisher : publishers_) EXPECT_TRUE(publisher.finish(MqttClient::patience));
        EXPECT_TRUE(wait_for_empty_spool(broker_)) << bridge_status(broker_).dump() << broker_.log();
    }

    /// By publisher; what was acknowledged has come.
    std::map<std::string, Arrivals> expect_everything_arrived() {
        std::size_t acknowledged = 0, missing = 0, duplicated = 0, out_of_order = 0;
        for (const LoadPublisher& publisher : publishers_) acknowledged += publisher.acknowledged().size();
        std::map<std::string, Arrivals> arrivals;
        for (const KafkaRecord& record : bridge::test::read_topic(node_->address(), topic_, acknowledged))
            arrivals[record.received.key].add(record);
        for (const LoadPublisher& publisher : publishers_) {
            const Arrivals& came = arrivals[publisher.client_id()];
            for (const auto number : publisher.acknowledged()) missing += !came.numbers.contains(number);
            duplicated += came.duplicated;
            out_of_order += came.out_of_order;
        }
        fmt::print("kafka_real {}: acknowledged {} missing {} out of order {} duplicated {}\n", topic_,
                   acknowledged, missing, out_of_order, duplicated);
        RecordProperty("duplicated", static_cast<int>(duplicated));
        EXPECT_GT(acknowledged, 0U);
        EXPECT_EQ(missing, 0U);
        EXPECT_EQ(out_of_order, 0U);
        return arrivals;
    }

    static constexpr double messages_per_s = 400;  // of each publisher

    KafkaNodePeer* node_ = nullptr;
    std::string topic_, servers_;
    std::string spool_;  ///< keys of [bridge.spool]
    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
    std::deque<LoadPublisher> publishers_;
};

TEST_F(KafkaOutage, broker_is_killed_while_it_drains) {
    spool_ = "drain_rate = 1000\ninflight_max = 50";
    start_broker();
    publish_for(Milliseconds(300));
    node_->freeze();
    publish_for(Milliseconds(2500));
    const auto backlog = bridge_status(broker_).value("spool_messages", std::uint64_t{0});
    ASSERT_GT(backlog, 1000U);
    node_->thaw();
    for (const auto left : {backlog * 2 / 3, backlog / 3}) {
        ASSERT_TRUE(wait_spool_below(left)) << bridge_status(broker_).dump();
        kill_broker();
        start_broker();
        EXPECT_GT(bridge_status(broker_).value("spool_messages", 0), 0) << "it was killed too late";
    }
    finish();
    expect_everything_arrived();
}

TEST_F(KafkaOutage, kafka_is_killed_and_comes_back_under_load) {
    start_broker();
    publish_for(Milliseconds(500));
    under_load([&] {
        node_->down();
        expect_state(Expected::away);
        node_->up();
        expect_state(Expected::up);
    });
    finish();
    expect_everything_arrived();
}

TEST_F(KafkaOutage, kafka_is_stopped_for_longer_than_the_confirm_timeout) {
    interrupt([&] { node_->freeze(); }, [&] { node_->thaw(); });
    expect_everything_arrived();
}

TEST_F(KafkaOutage, a_message_larger_than_its_topic_takes_holds_nothing_up) {
    node_->ask("config " + topic_ + " max.message.bytes=100000");
    start_broker();
    MqttClient large;
    ASSERT_TRUE(large.connect(broker_.port(), {.client_id = "large"}));
    static constexpr unsigned count = 5;
    under_load([&] {
        for (unsigned i = 1; i <= count; ++i) {
            large.publish("plant/large", std::string(150000, 'x'), wire::QoS::at_least_once,
                          static_cast<wire::PacketId>(i));
            EXPECT_TRUE(large.receive()) << "the message is ours until Kafka has refused it";
        }
        EXPECT_TRUE(wait_for_bridge(broker_, [](const json& s) { return s.value("refused", 0U) >= count; }))
            << bridge_status(broker_).dump();
    });
    for (LoadPublisher& publisher : publishers_) EXPECT_TRUE(publisher.finish(MqttClient::patience));
    EXPECT_TRUE(wait_spool_below(count + 1)) << "only what was refused may still be here";
    EXPECT_FALSE(expect_everything_arrived().contains("large"));
}

TEST_F(KafkaOutage, partitions_are_added_under_load) {
    start_broker();
    publish_for(Milliseconds(300));
    constexpr int before = 2;
    under_load([&] {
        node_->ask("partitions " + topic_ + " 6");
        // Until the producer has seen them: keys move, to the partitions that murmur2 gives them now.
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        bool moved = false;
        while (!moved && std::chrono::steady_clock::now() < deadline)
            for (const KafkaRecord& record : bridge::test::read_topic(node_->address(), topic_, 1))
                moved |= record.partition >= before;
        EXPECT_TRUE(moved);
    });
    finish();
    expect_everything_arrived();
}

TEST_F(KafkaOutage, packets_vanish_between_broker_and_kafka) {
    if (node_->doors().network_namespace.empty())
        GTEST_SKIP() << "this machine gives us no network namespace with a veth (are we root?)";
    servers_ = node_->doors().outside;
    {
        const InNamespace inside(node_->doors().network_namespace);
        interrupt([&] { node_->ask("cut"); }, [&] { node_->ask("mend"); });
    }
    expect_everything_arrived();
}

}  // namespace
}  // namespace sluice::test
