/// The whole way of a bridged message: device, broker, spool, upstream; through an outage of the upstream and
/// a `kill -9` of the broker.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/contract/amqp_peer.hpp"
#include "tests/contract/peer.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/bridge_watch.hpp"
#include "tests/system/load_publisher.hpp"
#include "tests/system/mosquitto.hpp"

namespace sluice::test {
namespace {

using nlohmann::json;
using Milliseconds = std::chrono::milliseconds;

class Bridge : public ::testing::TestWithParam<std::string> {
  protected:
    void SetUp() override {
        std::string why;
        peer_ = bridge::test::peer_of(GetParam(), why);
        if (!peer_) GTEST_SKIP() << why;
        if (auto* amqp = dynamic_cast<bridge::test::AmqpPeer*>(peer_)) {
            bridge::test::AmqpClient(amqp->port()).make_queue(place_, "amq.topic", place_ + ".#");
        } else {
            ASSERT_EQ(peer_->ask("topic " + place_ + " 2"), "ok");
        }
    }
    static bool is_kafka() { return bridge::test::type_of(GetParam()) == "kafka"; }

    std::string config() const { return is_kafka() ? config("{client_id}") : config("{topic}"); }
    /// `name`: the template of the record's key, or the end of the routing key's. `more`: keys of the route.
    std::string config(std::string_view name, std::string_view more = {}) const {
        const std::string where = is_kafka() ? fmt::format("topic = '{}'\nkey = '{}'\n{}", place_, name, more)
                                             : fmt::format("routing_key = '{}.{}'\n{}", place_, name, more);
        return local_broker(folder_.path()) + fmt::format(R"(
[[bridge]]
name = "up"
type = "{}"
servers = ["{}"]
connect_timeout = "2s"
[[bridge.route]]
from = "plant/#"
{}
)",
                                                          bridge::test::type_of(GetParam()), peer_->address(),
                                                          where);
    }
    void start_broker() { ASSERT_TRUE(broker_.start(config())) << broker_.log(); }

    void expect_key_and_headers() {
        const auto sent = mosquitto_pub({"-h", "127.0.0.1", "-p", std::to_string(broker_.port()), "-V", "5",
                                         "-i", "pump", "-q", "1", "-t", "plant/a/temp", "-m", "0 first", "-D",
                                         "publish", "user-property", "site", "a"});
        ASSERT_EQ(sent.exit_code, 0) << sent.err;
        const auto all = peer_->receive(place_, 1);
        ASSERT_EQ(all.size(), 1U);
        EXPECT_EQ(all[0].payload, "0 first");
        EXPECT_EQ(all[0].key, is_kafka() ? "pump" : place_ + ".plant.a.temp");
        EXPECT_THAT(all[0].headers, ::testing::Contains(::testing::Pair("site", "a")));
    }

    /// What of it came, and how often.
    void expect_everything_arrived(const LoadPublisher& publisher) {
        std::set<std::uint64_t> numbers;
        std::size_t duplicated = 0, missing = 0;
        for (const auto& one : peer_->receive(place_, publisher.acknowledged().size() + 1))
            duplicated += !numbers.insert(std::strtoull(one.payload.c_str(), nullptr, 10)).second;
        for (const auto number : publisher.acknowledged()) missing += !numbers.contains(number);
        fmt::print("{}: acknowledged {} arrived {} missing {} duplicated {}\n", GetParam(),
                   publisher.acknowledged().size(), numbers.size() - 1, missing, duplicated);
        EXPECT_EQ(missing, 0U);
    }

    /// Each test has a topic or queue of its own.
    const std::string place_ = [] {
        const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
        return name.substr(0, name.find('/'));
    }();
    bridge::test::Peer* peer_ = nullptr;
    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

TEST_P(Bridge, nothing_acknowledged_is_missing_upstream_after_outage_and_kill9) {
    start_broker();
    expect_key_and_headers();
    LoadPublisher publisher("load", "plant/load", wire::QoS::at_least_once);
    ASSERT_TRUE(publisher.connect(broker_.port()));
    publisher.run(Milliseconds(500), 1000);
    peer_->down();
    publisher.run(Milliseconds(500), 1000);
    broker_.kill();
    publisher.take_last_words();
    ASSERT_GT(publisher.acknowledged().size(), 0U);

    start_broker();  // while the upstream is down
    const json spooled = bridge_status(broker_);
    EXPECT_NE(spooled["state"], "connected");
    EXPECT_GT(spooled["spool_messages"], 0);
    ASSERT_TRUE(publisher.connect(broker_.port()));
    publisher.run(Milliseconds(500), 1000);
    peer_->up();
    publisher.run(Milliseconds(500), 1000);
    EXPECT_TRUE(publisher.finish(MqttClient::patience));
    publisher.disconnect();
    EXPECT_TRUE(wait_for_empty_spool(broker_)) << bridge_status(broker_).dump() << broker_.log();
    expect_everything_arrived(publisher);
    EXPECT_TRUE(broker_.stop()) << broker_.log();
}

TEST_P(Bridge, what_is_thinned_or_lacks_a_part_stays_away_and_is_counted) {
    ASSERT_TRUE(broker_.start(config("{payload.id}", "sample = 2\non_missing = 'drop'"))) << broker_.log();
    for (const char* payload : {R"({"id":"a1"})", R"({"id":"a2"})", "no json", R"({"id":"a4"})"}) {
        const auto sent = mosquitto_pub({"-h", "127.0.0.1", "-p", std::to_string(broker_.port()), "-i",
                                         "pump", "-q", "1", "-t", "plant/a/temp", "-m", payload});
        ASSERT_EQ(sent.exit_code, 0) << sent.err;
    }
    ASSERT_TRUE(wait_for_bridge(broker_,
                                [](const json& status) {
                                    return status.value("confirmed", 0) + status.value("dropped", 0) +
                                               status.value("refused", 0) ==
                                           2;
                                }))
        << bridge_status(broker_).dump() << broker_.log();
    const json status = bridge_status(broker_);
    EXPECT_EQ(status["thinned"], 2) << status.dump();
    EXPECT_EQ(status["confirmed"], 1) << status.dump();
    EXPECT_EQ(status["dropped"], 1) << status.dump();
    EXPECT_EQ(status["refused"], 0) << status.dump();
    EXPECT_EQ(status["in_messages"], 2) << status.dump();
    EXPECT_TRUE(broker_.stop()) << broker_.log();
}

INSTANTIATE_TEST_SUITE_P(Upstreams, Bridge, ::testing::Values("kafka", "kafka_real", "amqp"),
                         [](const auto& param) { return param.param; });

}  // namespace
}  // namespace sluice::test
