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

constexpr const char* place = "sink";

class Bridge : public ::testing::TestWithParam<std::string> {
  protected:
    void SetUp() override {
        std::string why;
        peer_ = bridge::test::peer_of(GetParam(), why);
        if (!peer_) GTEST_SKIP() << why;
        if (auto* amqp = dynamic_cast<bridge::test::AmqpPeer*>(peer_)) {
            bridge::test::AmqpClient(amqp->port()).make_queue(place, "amq.topic", "sink.#");
        } else {
            ASSERT_EQ(peer_->ask("topic sink 2"), "ok");
        }
    }
    static bool is_kafka() { return bridge::test::type_of(GetParam()) == "kafka"; }

    std::string config() const {
        const std::string where =
            is_kafka() ? "topic = \"sink\"\nkey = \"{client_id}\"" : "routing_key = \"sink.{topic}\"";
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
type = "{}"
servers = ["{}"]
connect_timeout = "2s"
[[bridge.route]]
from = "plant/#"
{}
)",
                           folder_.path().string(), bridge::test::type_of(GetParam()), peer_->address(),
                           where);
    }
    void start_broker() { ASSERT_TRUE(broker_.start(config())) << broker_.log(); }

    void expect_key_and_headers() {
        const auto sent = mosquitto_pub({"-h", "127.0.0.1", "-p", std::to_string(broker_.port()), "-V", "5",
                                         "-i", "pump", "-q", "1", "-t", "plant/a/temp", "-m", "0 first", "-D",
                                         "publish", "user-property", "site", "a"});
        ASSERT_EQ(sent.exit_code, 0) << sent.err;
        const auto all = peer_->receive(place, 1);
        ASSERT_EQ(all.size(), 1U);
        EXPECT_EQ(all[0].payload, "0 first");
        EXPECT_EQ(all[0].key, is_kafka() ? "pump" : "sink.plant.a.temp");
        EXPECT_THAT(all[0].headers, ::testing::Contains(::testing::Pair("site", "a")));
    }

    /// What of it came, and how often.
    void expect_everything_arrived(const LoadPublisher& publisher) {
        std::set<std::uint64_t> numbers;
        std::size_t duplicated = 0, missing = 0;
        for (const auto& one : peer_->receive(place, publisher.acknowledged().size() + 1))
            duplicated += !numbers.insert(std::strtoull(one.payload.c_str(), nullptr, 10)).second;
        for (const auto number : publisher.acknowledged()) missing += !numbers.contains(number);
        fmt::print("{}: acknowledged {} arrived {} missing {} duplicated {}\n", GetParam(),
                   publisher.acknowledged().size(), numbers.size() - 1, missing, duplicated);
        EXPECT_EQ(missing, 0U);
    }

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

INSTANTIATE_TEST_SUITE_P(Upstreams, Bridge, ::testing::Values("kafka", "kafka_real", "amqp"),
                         [](const auto& param) { return param.param; });

}  // namespace
}  // namespace sluice::test
