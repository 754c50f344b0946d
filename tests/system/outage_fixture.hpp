#pragma once
/// The real broker bridged to a real upstream, under load: no acknowledged message is lost, and the first
/// arrivals of a publisher are in its order (Kafka: in each partition). What came twice is counted and told.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "tests/contract/amqp_peer.hpp"
#include "tests/contract/kafka_records.hpp"
#include "tests/contract/peer.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/bridge_watch.hpp"
#include "tests/system/load_publisher.hpp"
#include "tests/system/network_namespace.hpp"

namespace sluice::test {

/// What came of one publisher.
struct Arrivals {
    std::set<std::uint64_t> numbers;
    std::map<int, std::uint64_t> last;  ///< by partition: the highest number of the first arrivals
    std::size_t duplicated = 0, out_of_order = 0;

    void add(const std::string& payload, int partition) {
        const auto number = std::strtoull(payload.c_str(), nullptr, 10);
        if (!numbers.insert(number).second) {
            ++duplicated;
            return;
        }
        std::uint64_t& last_of_partition = last[partition];
        out_of_order += number < last_of_partition;
        last_of_partition = std::max<std::uint64_t>(last_of_partition, number);
    }
};

class OutageFixture : public ::testing::Test {
  protected:
    using json = nlohmann::json;
    using Milliseconds = std::chrono::milliseconds;

    /// Of contract/peer.hpp. Skips the test where this machine has none.
    void use(const std::string& peer) {
        std::string why;
        peer_ = bridge::test::peer_of(peer, why);
        if (!peer_) GTEST_SKIP() << why;
        peer_name_ = peer;
        if (auto* amqp = dynamic_cast<bridge::test::AmqpPeer*>(peer_)) {
            bridge::test::AmqpClient(amqp->port()).make_queue(place_, "amq.topic", place_ + ".#");
            peer_->settle();
        } else {
            peer_->ask("topic " + place_ + " 2");
        }
        server_ = peer_->address();
        for (const char* name : {"pump", "valve", "meter"})
            publishers_.emplace_back(name, "plant/" + std::string(name), wire::QoS::at_least_once);
    }
    bool is_kafka() const { return bridge::test::type_of(peer_name_) == "kafka"; }

    std::string config() const {
        return local_broker(folder_.path()) +
               fmt::format(R"(
[[bridge]]
name = "up"
type = "{}"
servers = ["{}"]
connect_timeout = "2s"
confirm_timeout = "2s"
{}
[bridge.spool]
{}
[[bridge.route]]
from = "plant/#"
{}
)",
                           bridge::test::type_of(peer_name_), server_,
                           is_kafka() ? "timestamp = \"sent\"\noptions = "
                                        "[\"topic.metadata.refresh.interval.ms=500\"]"
                                      : "heartbeat = \"2s\"",
                           spool_,
                           is_kafka() ? fmt::format("topic = \"{}\"", place_)
                                      : fmt::format("routing_key = \"{}.{{topic}}\"", place_));
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
    /// Only a bridge that is connected and gets nothing through makes the gateway ill.
    void expect_state(Expected expected) {
        static const std::map<Expected, std::set<std::string>> states{
            {Expected::waits, {"stalled", "blocked"}},
            {Expected::away, {"connecting"}},
            {Expected::up, {"connected", "progressing"}}};
        const char* const health = expected == Expected::waits ? "503 " : "200 ";
        std::string said;
        EXPECT_TRUE(wait_for_bridge(broker_,
                                    [&](const json& s) {
                                        said = admin_answer(broker_, "/healthz");
                                        return states.at(expected).contains(s.value("state", "")) &&
                                               said.starts_with(health);
                                    }))
            << *states.at(expected).begin() << ": " << bridge_status(broker_).dump() << said;
        EXPECT_EQ(said.find("bridge 'up'") != std::string::npos, expected == Expected::waits) << said;
    }
    /// Under load: first short, so that the client library rides it out by itself, then until the bridge
    /// gives up.
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

    /// By publisher.
    std::map<std::string, Arrivals> arrivals(std::size_t at_least) {
        std::map<std::string, Arrivals> all;
        if (is_kafka()) {
            for (const auto& record : bridge::test::read_topic(peer_->address(), place_, at_least))
                all[record.received.key].add(record.received.payload, record.partition);
        } else {
            for (const auto& one : peer_->receive(place_, at_least))
                all[one.key.substr(one.key.rfind('.') + 1)].add(one.payload, 0);
        }
        return all;
    }
    /// What was acknowledged has come.
    std::map<std::string, Arrivals> expect_everything_arrived() {
        std::size_t acknowledged = 0, missing = 0, duplicated = 0, out_of_order = 0;
        for (const LoadPublisher& publisher : publishers_) acknowledged += publisher.acknowledged().size();
        std::map<std::string, Arrivals> all = arrivals(acknowledged);
        for (const LoadPublisher& publisher : publishers_) {
            const Arrivals& came = all[publisher.client_id()];
            for (const auto number : publisher.acknowledged()) missing += !came.numbers.contains(number);
            duplicated += came.duplicated;
            out_of_order += came.out_of_order;
        }
        fmt::print("{} {}: acknowledged {} missing {} out of order {} duplicated {}\n", peer_name_, place_,
                   acknowledged, missing, out_of_order, duplicated);
        RecordProperty("duplicated", static_cast<int>(duplicated));
        EXPECT_GT(acknowledged, 0U);
        EXPECT_EQ(missing, 0U);
        EXPECT_EQ(out_of_order, 0U);
        return all;
    }

    static constexpr double messages_per_s = 400;  // of each publisher

    bridge::test::Peer* peer_ = nullptr;
    std::string peer_name_;
    /// Each test has a topic or queue of its own.
    const std::string place_ = [] {
        const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
        return name.substr(0, name.find('/'));
    }();
    std::string server_;
    std::string spool_;  ///< keys of [bridge.spool]
    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
    std::deque<LoadPublisher> publishers_;
};

}  // namespace sluice::test
