/// Shared subscriptions with real peers: a fair split, members that die, a broker that dies.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "base/hash.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/load_publisher.hpp"
#include "tests/system/mosquitto.hpp"

namespace sluice::test {
namespace {

using wire::QoS;
using Milliseconds = std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

constexpr std::size_t shards = 2;
constexpr auto patience = std::chrono::seconds(30);

std::string id_at_home_on(std::size_t shard, const std::string& name) {
    for (int i = 0;; ++i) {
        std::string id = fmt::format("{}-{}", name, i);
        if (stable_hash(id) % shards == shard) return id;
    }
}

class Shared : public ::testing::Test {
  protected:
    void SetUp() override { start(); }
    void start() {
        ASSERT_TRUE(
            broker_.start(fmt::format("[broker]\ndata_dir = \"{}/data\"\nthreads = {}\n[[listener]]\n"
                                      "address = \"127.0.0.1\"\nport = 0\nanonymous = true\n",
                                      folder_.path().string(), shards)))
            << broker_.log();
    }
    /// `count` messages with the numbers from `first`, all acknowledged.
    void publish(MqttClient& client, int first, int count) {
        for (int sent = 0, done = 0; done < count; ++done) {
            for (; sent < count && sent < done + 50; ++sent)
                client.publish("jobs/x", std::to_string(first + sent), QoS::at_least_once,
                               static_cast<wire::PacketId>(sent + 1));
            const auto answer = client.receive();
            ASSERT_TRUE(answer) << "after " << done;
            ASSERT_EQ(answer->code, wire::ReasonCode::success);
        }
    }
    /// Until everything in `wanted` has come to one of the clients, or the deadline.
    static std::map<int, int> receive_all(const std::vector<MqttClient*>& clients,
                                          const std::set<int>& wanted) {
        std::map<int, int> times;
        auto missing = wanted;
        const auto deadline = Steady::now() + patience;
        while (!missing.empty() && Steady::now() < deadline) {
            for (MqttClient* client : clients) {
                while (const auto message = client->receive_message(Milliseconds(10))) {
                    const int number = std::atoi(message->payload.c_str());
                    ++times[number];
                    missing.erase(number);
                }
            }
        }
        EXPECT_TRUE(missing.empty()) << missing.size() << " are missing, the first is " << *missing.begin();
        return times;
    }
    static std::set<int> numbers(int first, int count) {
        std::set<int> all;
        for (int i = 0; i < count; ++i) all.insert(first + i);
        return all;
    }

    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

TEST_F(Shared, three_mosquitto_subs_share_fairly_and_what_a_killed_one_had_goes_to_the_others) {
    const auto member = [this](std::size_t shard, const std::string& name) {
        return std::make_unique<MosquittoSub>(Words{"-p", std::to_string(broker_.port()), "-V", "5", "-q",
                                                    "1", "-i", id_at_home_on(shard, name), "-t",
                                                    "$share/workers/jobs/#"});
    };
    std::vector<std::unique_ptr<MosquittoSub>> members;
    members.push_back(member(0, "one"));
    members.push_back(member(1, "two"));
    members.push_back(member(1, "three"));
    for (const auto& one : members) ASSERT_TRUE(one->subscribed());
    MqttClient publisher;
    ASSERT_TRUE(publisher.connect(broker_.port(), {.client_id = "publisher"}));
    std::multiset<std::string> seen, wanted;
    for (int i = 0; i < 300; ++i) wanted.insert(fmt::format("jobs/x {}", i));
    for (int first = 0; first < 300; first += 15) {  // never as many as they may have unacknowledged
        publish(publisher, first, 15);
        for (const auto& one : members) {
            for (int i = 0; i < 5; ++i) seen.insert(one->next());
        }
        ASSERT_EQ(seen.count("nothing"), 0U) << "not five for each behind " << first;
    }
    ASSERT_EQ(seen, wanted) << "a hundred for each, and each once";

    // It hangs, so what it is sent from now on is not acknowledged; then it is gone.
    members[2]->signal(SIGSTOP);
    publish(publisher, 300, 30);
    members[2]->signal(SIGKILL);
    seen.clear();
    wanted.clear();
    for (int i = 300; i < 330; ++i) wanted.insert(fmt::format("jobs/x {}", i));
    const auto deadline = Steady::now() + patience;
    while (seen.size() < 30 && Steady::now() < deadline) {
        for (const std::size_t i : {0U, 1U}) {
            const std::string line = members[i]->next(Milliseconds(20));
            if (line != "nothing") seen.insert(line);
        }
    }
    EXPECT_EQ(seen, wanted);
}

/// More than a session keeps in memory, from one shard to another.
TEST_F(Shared, the_backlog_of_an_ended_session_goes_to_another_member) {
    const MqttClient::Session keeper{.client_id = id_at_home_on(0, "keeper"), .expiry_s = 3600};
    const MqttClient::Session heir{
        .client_id = id_at_home_on(1, "heir"), .clean_start = false, .expiry_s = 3600};
    MqttClient client, receiver, publisher;
    ASSERT_TRUE(client.connect(broker_.port(), keeper));
    ASSERT_TRUE(client.subscribe("$share/workers/jobs/#", QoS::at_least_once));
    client.disconnect();
    ASSERT_TRUE(publisher.connect(broker_.port(), {.client_id = "publisher"}));
    publish(publisher, 0, 3000);
    ASSERT_TRUE(receiver.connect(broker_.port(), heir));
    ASSERT_TRUE(receiver.subscribe("$share/workers/jobs/#", QoS::at_least_once));
    ASSERT_TRUE(client.connect(broker_.port(), keeper));  // a clean start ends the old session
    const auto times = receive_all({&receiver}, numbers(0, 3000));
    EXPECT_TRUE(std::all_of(times.begin(), times.end(), [](const auto& one) { return one.second == 1; }));
    // Nothing of the old session comes back. These two SUBACKs wait for all that went before on their shards.
    ASSERT_TRUE(receiver.subscribe("sync", QoS::at_least_once));
    ASSERT_TRUE(client.subscribe("sync", QoS::at_least_once));
    broker_.kill();
    start();
    ASSERT_TRUE(client.connect(broker_.port(), keeper));
    ASSERT_TRUE(publisher.connect(broker_.port(), {.client_id = "publisher"}));
    publish(publisher, 5000, 1);
    ASSERT_TRUE(receiver.connect(broker_.port(), heir));
    const auto next = receiver.receive_message();
    ASSERT_TRUE(next);
    EXPECT_EQ(next->payload, "5000");
}

TEST_F(Shared, the_backlog_of_an_ended_session_survives_a_kill_half_way) {
    const MqttClient::Session keeper{.client_id = id_at_home_on(0, "keeper"), .expiry_s = 3600};
    const MqttClient::Session heir{
        .client_id = id_at_home_on(1, "heir"), .clean_start = false, .expiry_s = 3600};
    MqttClient client, receiver, publisher;
    ASSERT_TRUE(client.connect(broker_.port(), keeper));
    ASSERT_TRUE(client.subscribe("$share/workers/jobs/#", QoS::at_least_once));
    client.disconnect();
    ASSERT_TRUE(publisher.connect(broker_.port(), {.client_id = "publisher"}));
    publish(publisher, 0, 5000);
    ASSERT_TRUE(receiver.connect(broker_.port(), heir));
    ASSERT_TRUE(receiver.subscribe("$share/workers/jobs/#", QoS::at_least_once));
    ASSERT_TRUE(client.connect(broker_.port(), keeper));
    std::map<int, int> before;
    for (int i = 0; i < 50; ++i) {
        const auto message = receiver.receive_message();
        ASSERT_TRUE(message);
        ++before[std::atoi(message->payload.c_str())];
    }
    broker_.kill();
    start();
    ASSERT_TRUE(receiver.connect(broker_.port(), heir));
    auto wanted = numbers(0, 5000);
    for (const auto& [number, times] : before) wanted.erase(number);
    receive_all({&receiver}, wanted);
}

/// The promise of an acknowledgement holds wherever the member lives that got the message.
TEST_F(Shared, no_acknowledged_message_is_missing_after_kills_under_load) {
    const MqttClient::Session there{
        .client_id = id_at_home_on(0, "member"), .clean_start = false, .expiry_s = 3600};
    const MqttClient::Session elsewhere{
        .client_id = id_at_home_on(1, "member"), .clean_start = false, .expiry_s = 3600};
    for (const auto* session : {&there, &elsewhere}) {
        MqttClient client;
        ASSERT_TRUE(client.connect(broker_.port(), *session));
        ASSERT_TRUE(client.subscribe("$share/workers/jobs/#", QoS::at_least_once));
        client.disconnect();
    }
    LoadPublisher publisher(id_at_home_on(0, "publisher"), "jobs/x", QoS::at_least_once);
    for (int round = 0; round < 5; ++round) {
        ASSERT_TRUE(publisher.connect(broker_.port())) << broker_.log();
        publisher.run(Milliseconds(300 + 70 * round), 1000);
        broker_.kill();
        publisher.take_last_words();
        start();
    }
    ASSERT_TRUE(publisher.connect(broker_.port()));
    ASSERT_TRUE(publisher.finish(Milliseconds(20'000)));
    publisher.disconnect();
    MqttClient first, second;
    ASSERT_TRUE(first.connect(broker_.port(), there)->session_present);
    ASSERT_TRUE(second.connect(broker_.port(), elsewhere)->session_present);
    std::set<int> wanted;
    for (const auto number : publisher.acknowledged()) wanted.insert(static_cast<int>(number));
    ASSERT_GT(wanted.size(), 500U);
    receive_all({&first, &second}, wanted);
}

}  // namespace
}  // namespace sluice::test
