/// "An acknowledgement is a promise": nothing that was acknowledged is missing after `kill -9`.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <set>

#include "base/hash.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/load_publisher.hpp"

namespace sluice::test {
namespace {

using wire::QoS;
using Milliseconds = std::chrono::milliseconds;

constexpr double load_messages_per_s = 1000;

/// A client id whose home is that shard.
std::string id_at_home_on(std::size_t shard, std::size_t shards, const std::string& name) {
    for (int i = 0;; ++i) {
        std::string id = fmt::format("{}-{}", name, i);
        if (stable_hash(id) % shards == shard) return id;
    }
}

/// What a subscriber got, in the order of arrival.
struct Received {
    std::set<std::uint64_t> numbers;
    std::size_t again = 0;         ///< a number that was there already
    std::size_t out_of_order = 0;  ///< first occurrences behind a higher number
    bool complete = false;         ///< the last message of all has come
};

struct Ledger {
    std::size_t acknowledged = 0, received = 0, missing = 0, duplicated = 0, out_of_order = 0;
    bool complete = false;
};

class Durability : public ::testing::Test {
  protected:
    std::string config(std::size_t threads) const {
        return fmt::format(R"(
[broker]
data_dir = "{}/data"
threads = {}
[[listener]]
address = "127.0.0.1"
port = 0
anonymous = true
)",
                           folder_.path().string(), threads);
    }

    /// Seeded, and the seed is told: SLUICE_TEST_SEED repeats a run as far as timing allows.
    std::mt19937 make_random() {
        const char* given = std::getenv("SLUICE_TEST_SEED");
        const auto seed = given ? static_cast<unsigned>(std::atoi(given)) : std::random_device()();
        fmt::print("seed {}\n", seed);
        return std::mt19937(seed);
    }

    bool make_session(const MqttClient::Session& session, const std::string& filter, QoS qos) {
        MqttClient client;
        const auto connack = client.connect(broker_.port(), session);
        const bool made = connack && client.subscribe(filter, qos);
        client.disconnect();
        return made;
    }

    Received drain(const MqttClient::Session& session, const std::string& topic, QoS qos) {
        Received received;
        MqttClient client;
        const auto connack = client.connect(broker_.port(), session);
        if (!connack || !connack->session_present) return received;
        {
            // Behind all others in the queue, which keeps its order per QoS only [MQTT-4.6.0-6]: whoever has
            // this one has got everything.
            MqttClient last;
            EXPECT_TRUE(last.connect(broker_.port(), {.client_id = "last"}));
            last.publish(topic, "last", qos, 1);
            EXPECT_TRUE(last.receive());
        }
        std::uint64_t highest = 0;
        while (const auto message = client.receive_message()) {
            if (message->payload == "last") {
                received.complete = true;
                break;
            }
            const std::uint64_t number = std::strtoull(message->payload.c_str(), nullptr, 10);
            if (!received.numbers.insert(number).second) {
                ++received.again;
                continue;
            }
            received.out_of_order += number < highest;
            highest = std::max(highest, number);
        }
        // The acknowledgements must have been read before the connection goes.
        client.disconnect();
        return received;
    }

    /// Rounds of load, kill -9 at any moment, restart on the same folder; then everything is counted.
    Ledger run_rounds(int rounds, QoS qos, std::size_t threads, const std::string& subscriber_id,
                      const std::string& publisher_id, double messages_per_s = load_messages_per_s);

    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

Ledger Durability::run_rounds(int rounds, QoS qos, std::size_t threads, const std::string& subscriber_id,
                              const std::string& publisher_id, double messages_per_s) {
    auto random = make_random();
    std::uniform_int_distribution<int> span_ms(300, 900);
    const MqttClient::Session subscriber{.client_id = subscriber_id, .clean_start = false, .expiry_s = 3600};
    EXPECT_TRUE(broker_.start(config(threads))) << broker_.log();
    EXPECT_TRUE(make_session(subscriber, "load/#", qos));
    LoadPublisher publisher(publisher_id, "load/t", qos);
    for (int round = 0; round < rounds && !HasFailure(); ++round) {
        EXPECT_TRUE(publisher.connect(broker_.port())) << broker_.log();
        publisher.run(Milliseconds(span_ms(random)), messages_per_s);
        broker_.kill();
        publisher.take_last_words();
        EXPECT_TRUE(broker_.start(config(threads))) << broker_.log();
    }
    EXPECT_TRUE(publisher.connect(broker_.port()));
    EXPECT_TRUE(publisher.finish(Milliseconds(20'000)));
    publisher.disconnect();

    const Received received = drain(subscriber, "load/t", qos);
    Ledger ledger;
    ledger.acknowledged = publisher.acknowledged().size();
    ledger.received = received.numbers.size();
    ledger.duplicated = received.again;
    ledger.out_of_order = received.out_of_order;
    ledger.complete = received.complete;
    std::string missing;
    for (const auto number : publisher.acknowledged()) {
        if (received.numbers.contains(number)) continue;
        if (++ledger.missing <= 20) missing += fmt::format(" {}", number);
    }
    if (!missing.empty())
        fmt::print("missing, the first of them:{}; of {} sent\n", missing, publisher.sent());
    fmt::print("QoS {}, threads {}, {} times kill -9: acknowledged {} received {} missing {} duplicated {}\n",
               static_cast<int>(qos), threads, rounds, ledger.acknowledged, ledger.received, ledger.missing,
               ledger.duplicated);
    return ledger;
}

TEST_F(Durability, no_acknowledged_qos1_message_is_missing_after_20_kills_under_load) {
    const auto ledger = run_rounds(20, QoS::at_least_once, 2, id_at_home_on(0, 2, "subscriber"),
                                   id_at_home_on(1, 2, "publisher"));
    EXPECT_TRUE(ledger.complete);
    EXPECT_GT(ledger.acknowledged, 1000U);
    EXPECT_EQ(ledger.missing, 0U);
    EXPECT_EQ(ledger.out_of_order, 0U);
}

TEST_F(Durability, qos2_messages_come_exactly_once_after_kills_with_one_shard) {
    const auto ledger = run_rounds(5, QoS::exactly_once, 1, "subscriber", "publisher");
    EXPECT_TRUE(ledger.complete);
    EXPECT_EQ(ledger.missing, 0U);
    EXPECT_EQ(ledger.duplicated, 0U);
    EXPECT_EQ(ledger.out_of_order, 0U);
}

/// Publisher and subscriber live on two shards, whose turns commit apart. At full speed, so that there is
/// always something between the two commits.
TEST_F(Durability, qos2_messages_across_shards_come_exactly_once_after_10_kills) {
    const auto ledger = run_rounds(10, QoS::exactly_once, 2, id_at_home_on(0, 2, "subscriber"),
                                   id_at_home_on(1, 2, "publisher"), 1e6);
    EXPECT_TRUE(ledger.complete);
    EXPECT_GT(ledger.acknowledged, 1000U);
    EXPECT_EQ(ledger.missing, 0U);
    EXPECT_EQ(ledger.duplicated, 0U);
    EXPECT_EQ(ledger.out_of_order, 0U);
}

class Survives : public Durability, public ::testing::WithParamInterface<int> {};

TEST_P(Survives, retained_messages_subscriptions_and_queues) {
    ASSERT_TRUE(broker_.start(config(2))) << broker_.log();
    const MqttClient::Session subscriber{.client_id = "keeper", .clean_start = false, .expiry_s = 3600};
    ASSERT_TRUE(make_session(subscriber, "kept/+", QoS::at_least_once));
    MqttClient publisher;
    ASSERT_TRUE(publisher.connect(broker_.port(), {.client_id = "publisher"}));
    publisher.publish("state/a", "old", QoS::at_least_once, 1, true);
    publisher.publish("state/a", "new", QoS::at_least_once, 2, true);
    publisher.publish("state/b", "gone", QoS::at_least_once, 3, true);
    publisher.publish("state/b", "", QoS::at_least_once, 4, true);
    publisher.publish("kept/1", "queued", QoS::at_least_once, 5);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(publisher.receive());
    if (GetParam() == SIGKILL) {
        broker_.kill();
    } else {
        EXPECT_TRUE(broker_.stop());
    }
    ASSERT_TRUE(broker_.start(config(2))) << broker_.log();

    MqttClient keeper;
    const auto connack = keeper.connect(broker_.port(), subscriber);
    ASSERT_TRUE(connack);
    EXPECT_TRUE(connack->session_present);
    const auto queued = keeper.receive_message();
    ASSERT_TRUE(queued);
    EXPECT_EQ(queued->payload, "queued");
    ASSERT_TRUE(publisher.connect(broker_.port(), {.client_id = "publisher"}));
    publisher.publish("kept/2", "fresh", QoS::at_least_once, 1);
    const auto fresh = keeper.receive_message();
    ASSERT_TRUE(fresh) << "the subscription is gone";
    EXPECT_EQ(fresh->payload, "fresh");

    ASSERT_TRUE(keeper.subscribe("state/#", QoS::at_least_once));
    const auto retained = keeper.receive_message();
    ASSERT_TRUE(retained);
    EXPECT_EQ(retained->topic + " " + retained->payload, "state/a new");
    EXPECT_TRUE(retained->retain);
    // The next thing that comes: state/b was deleted before the end.
    publisher.publish("state/c", "live", QoS::at_least_once, 2);
    const auto live = keeper.receive_message();
    ASSERT_TRUE(live);
    EXPECT_EQ(live->topic, "state/c");
}

TEST_F(Durability, retained_messages_above_a_lowered_limit_are_kept_and_served) {
    const auto config_with = [this](int messages_max) {
        return config(1) + fmt::format("[limits]\nretained_messages_max = {}\n", messages_max);
    };
    ASSERT_TRUE(broker_.start(config_with(10))) << broker_.log();
    const auto retain = [this](const std::string& topic, const std::string& payload) {
        MqttClient client;
        ASSERT_TRUE(client.connect(broker_.port(), {.client_id = "publisher"}));
        client.publish(topic, payload, QoS::at_least_once, 1, true);
        EXPECT_TRUE(client.receive());
    };
    const auto retained = [this] {
        std::set<std::string> found;
        MqttClient client;
        EXPECT_TRUE(client.connect(broker_.port(), {.client_id = "reader"}));
        EXPECT_TRUE(client.subscribe("#", QoS::at_least_once));
        client.publish("end", "", QoS::at_least_once, 1);
        for (auto m = client.receive_message(); m && m->topic != "end"; m = client.receive_message())
            found.insert(m->topic + "=" + m->payload);
        return found;
    };
    for (const char* topic : {"a", "b", "c", "d", "e"}) retain(topic, "1");
    ASSERT_TRUE(broker_.stop());
    ASSERT_TRUE(broker_.start(config_with(3))) << broker_.log();
    EXPECT_TRUE(broker_.wait_for_log("2 retained messages are above limits.retained_messages_max (3)"));
    EXPECT_EQ(retained(), (std::set<std::string>{"a=1", "b=1", "c=1", "d=1", "e=1"}));
    retain("e", "2");
    retain("new", "1");
    for (const char* topic : {"a", "b", "c"}) retain(topic, "");
    retain("newer", "1");
    const std::set<std::string> left{"d=1", "e=2", "newer=1"};
    EXPECT_EQ(retained(), left);
    broker_.kill();
    ASSERT_TRUE(broker_.start(config_with(3))) << broker_.log();
    EXPECT_EQ(retained(), left);
}

INSTANTIATE_TEST_SUITE_P(Durability, Survives, ::testing::Values(SIGKILL, SIGTERM),
                         [](const auto& param) { return param.param == SIGKILL ? "kill9" : "sigterm"; });

}  // namespace
}  // namespace sluice::test
