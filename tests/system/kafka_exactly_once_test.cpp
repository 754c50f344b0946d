/// The real broker, delivering exactly once into a real Kafka: round after round of load and `kill -9`, and
/// at the end a reader of committed transactions has every message once, each publisher's in its order. The
/// publishers are of QoS 2: what they send again after a kill is the same message to the broker. With
/// $SLUICE_EXACTLY_ONCE_ROUNDS rounds.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>
#include <thread>

#include "tests/contract/kafka_node_peer.hpp"
#include "tests/contract/kafka_records.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/bridge_watch.hpp"
#include "tests/system/load_publisher.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using bridge::test::KafkaNodePeer;
using nlohmann::json;
using Milliseconds = std::chrono::milliseconds;

constexpr int publishers = 6;
constexpr double messages_per_s = 60;  // each

int rounds() {
    const char* given = std::getenv("SLUICE_EXACTLY_ONCE_ROUNDS");
    return given ? std::atoi(given) : 5;
}

class KafkaExactlyOnce : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string why;
        node_ = static_cast<KafkaNodePeer*>(bridge::test::peer_of("kafka_real", why));
        if (!node_) GTEST_SKIP() << why;
        const char* given = std::getenv("SLUICE_TEST_SEED");
        const auto seed = given ? static_cast<unsigned>(std::atoi(given)) : std::random_device()();
        fmt::print("seed {}\n", seed);
        random_.seed(seed);
        topic_ = ::testing::UnitTest::GetInstance()->current_test_info()->name();
        node_->ask("topic " + topic_ + " 2");
        for (int i = 0; i < publishers; ++i)
            publishers_.emplace_back(fmt::format("publisher-{}", i), fmt::format("plant/{}", i),
                                     wire::QoS::exactly_once);
    }

    std::string config() const {
        return local_broker(folder_.path()) + fmt::format(R"(
[[bridge]]
name = "up"
type = "kafka"
servers = ["{}"]
delivery = "exactly_once"
position_topic = "sluice-positions"
connect_timeout = "5s"
confirm_timeout = "5s"
[[bridge.route]]
from = "plant/#"
topic = "{}"
)",
                                                          node_->address(), topic_);
    }
    /// All publish from before `action` until it has killed the broker, or returned.
    template <class Action>
    void under_load(Action action) {
        std::atomic<bool> enough{false};
        std::atomic<int> refused{0};
        std::vector<std::thread> threads;
        for (LoadPublisher& publisher : publishers_)
            threads.emplace_back([&, port = broker_.port()] {
                if (!publisher.connect(port)) ++refused;
                while (!enough) publisher.run(200ms, messages_per_s);
            });
        action();
        enough = true;
        for (std::thread& thread : threads) thread.join();
        EXPECT_EQ(refused, 0) << "publishers were not let in";
    }
    /// Kills the broker at a moment of which nobody knows where in a transaction it is: some rounds end
    /// before the bridge is up.
    void play_round() {
        std::uniform_int_distribution<int> span_ms(500, 4000);
        under_load([&] {
            std::this_thread::sleep_for(Milliseconds(span_ms(random_)));
            killed_under_way_ += bridge_status(broker_).value("confirmed", 0U) > 0;
            broker_.kill();
        });
        for (LoadPublisher& publisher : publishers_) publisher.take_last_words();
    }
    void finish() {
        for (LoadPublisher& publisher : publishers_) ASSERT_TRUE(publisher.connect(broker_.port()));
        for (LoadPublisher& publisher : publishers_) EXPECT_TRUE(publisher.finish(MqttClient::patience));
        EXPECT_TRUE(wait_for_empty_spool(broker_)) << bridge_status(broker_).dump() << broker_.log();
    }
    void expect_each_once() {
        struct Arrivals {
            std::map<std::uint64_t, std::string> numbers;  ///< and the message id that each came with
            std::map<int, std::uint64_t> last;             ///< by partition
        };
        std::map<std::string, Arrivals> arrivals;
        std::size_t acknowledged = 0, missing = 0, duplicated = 0, entered_twice = 0, out_of_order = 0;
        for (const LoadPublisher& publisher : publishers_) acknowledged += publisher.acknowledged().size();
        const auto records = bridge::test::read_topic(node_->address(), topic_, acknowledged);
        for (const auto& record : records) {
            const auto number = std::strtoull(record.received.payload.c_str(), nullptr, 10);
            Arrivals& of_publisher = arrivals[record.received.key];
            const auto id = record.received.headers.find("sluice.id");
            ASSERT_NE(id, record.received.headers.end());
            const auto [seen, is_new] = of_publisher.numbers.try_emplace(number, id->second);
            if (!is_new) {
                // Another id: the broker itself took it for another message.
                ++(seen->second == id->second ? duplicated : entered_twice);
                fmt::print("twice: {} {}: {} and {} at offset {} of partition {}\n", record.received.key,
                           number, seen->second, id->second, record.offset, record.partition);
            }
            std::uint64_t& last = of_publisher.last[record.partition];
            out_of_order += number < last;
            last = number;
        }
        for (const LoadPublisher& publisher : publishers_)
            for (const auto number : publisher.acknowledged())
                missing += arrivals[publisher.client_id()].numbers.contains(number) ? 0U : 1U;
        fmt::print(
            "acknowledged {} records {} missing {} duplicated {} entered the broker twice {} out of order "
            "{}\n",
            acknowledged, records.size(), missing, duplicated, entered_twice, out_of_order);
        EXPECT_GT(acknowledged, 0U);
        EXPECT_EQ(missing, 0U);
        EXPECT_EQ(duplicated, 0U);
        EXPECT_EQ(entered_twice, 0U);
        EXPECT_EQ(out_of_order, 0U);
    }

    KafkaNodePeer* node_ = nullptr;
    std::mt19937 random_;
    std::string topic_;
    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
    std::deque<LoadPublisher> publishers_;
    int killed_under_way_ = 0;
};

TEST_F(KafkaExactlyOnce, the_broker_is_killed_again_and_again) {
    ASSERT_TRUE(broker_.start(config())) << broker_.log();
    const int count = rounds();
    for (int i = 0; i < count && !HasFailure(); ++i) {
        play_round();
        ASSERT_TRUE(broker_.start(config())) << broker_.log();
    }
    finish();
    fmt::print("killed {} times, {} of them after the first commit\n", count, killed_under_way_);
    EXPECT_GT(killed_under_way_, 0) << "no round was long enough to show anything";
    expect_each_once();
}

TEST_F(KafkaExactlyOnce, kafka_is_killed_under_load_and_the_broker_while_it_is_away) {
    ASSERT_TRUE(broker_.start(config())) << broker_.log();
    under_load([&] {
        ASSERT_TRUE(wait_for_bridge(broker_, [](const json& s) { return s.value("confirmed", 0U) > 100U; }))
            << bridge_status(broker_).dump();
        node_->down();
        std::this_thread::sleep_for(300ms);
        node_->up();
        EXPECT_TRUE(wait_for_bridge(broker_, [](const json& s) {
            return s.value("state", "") == "connected" || s.value("state", "") == "progressing";
        }));
        node_->down();
        broker_.kill();
    });
    for (LoadPublisher& publisher : publishers_) publisher.take_last_words();
    ASSERT_TRUE(broker_.start(config())) << broker_.log();
    node_->up();
    finish();
    expect_each_once();
}

}  // namespace
}  // namespace sluice::test
