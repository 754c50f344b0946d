/// Round after round of mixed load and `kill -9`: nothing that was acknowledged is missing, nothing of QoS 2
/// comes twice, and every publisher's order holds, for subscribers who are there, for those who come at the
/// end, for what is retained, and at the far end of a bridge. With $SLUICE_CRASH_ROUNDS rounds.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>

#include "tests/contract/peer.hpp"
#include "tests/support/power_cut.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/load_publisher.hpp"
#include "tests/system/steady_subscriber.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using wire::QoS;
using Milliseconds = std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

constexpr int publishers = 50;
constexpr int publishers_retained = 6;
constexpr double messages_per_s = 20;  // each

int rounds() {
    const char* given = std::getenv("SLUICE_CRASH_ROUNDS");
    return given ? std::atoi(given) : 6;
}

class CrashRounds : public ::testing::Test {
  protected:
    void SetUp() override {
        const char* given = std::getenv("SLUICE_TEST_SEED");
        const auto seed = given ? static_cast<unsigned>(std::atoi(given)) : std::random_device()();
        fmt::print("seed {}\n", seed);
        random_.seed(seed);
        std::string why;
        upstream_ = bridge::test::peer_of("kafka", why);
        if (!upstream_) fmt::print("without a bridge: {}\n", why);
        if (upstream_) {
            place_ = ::testing::UnitTest::GetInstance()->current_test_info()->test_suite_name();
            ASSERT_EQ(upstream_->ask(fmt::format("topic {} 2", place_)), "ok");
        }
        for (int i = 0; i < publishers; ++i) {
            publishers_.push_back(std::make_unique<LoadPublisher>(
                fmt::format("publisher-{}", i), topic(i), i % 2 == 0 ? QoS::at_least_once : QoS::exactly_once,
                i < publishers_retained));
        }
        for (const QoS qos : {QoS::at_least_once, QoS::exactly_once}) {
            const int n = static_cast<int>(qos);
            online_.push_back(std::make_unique<SteadySubscriber>(fmt::format("online-{}", n), "load/#", qos));
            offline_.push_back(
                std::make_unique<SteadySubscriber>(fmt::format("offline-{}", n), "load/#", qos));
        }
    }
    static std::string topic(int publisher) { return fmt::format("load/{}", publisher); }

    std::string config() const {
        std::string text = fmt::format(
            "[broker]\ndata_dir = \"{}\"\nthreads = 2\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n"
            "anonymous = true\n[limits]\nqueue_messages_max = 10000000\nqueue_bytes_max = \"4GiB\"\n",
            data().string());
        if (upstream_)
            text += fmt::format(
                "[[bridge]]\nname = \"up\"\ntype = \"kafka\"\nservers = [\"{}\"]\n[[bridge.route]]\n"
                "from = \"load/#\"\ntopic = \"{}\"\nkey = \"{{client_id}}\"\n",
                upstream_->address(), place_);
        return text;
    }
    std::filesystem::path data() const { return folder_.path() / "data"; }

    /// The sessions are made, and those who are to be away go.
    void begin() {
        ASSERT_TRUE(broker_.start(config())) << broker_.log();
        for (auto& one : offline_) ASSERT_TRUE(one->connect(broker_.port()));
        for (auto& one : online_) ASSERT_TRUE(one->connect(broker_.port()));
        for (auto& one : offline_) one->disconnect();
    }
    /// Load for `span`, then SIGKILL in the middle of it.
    void play_round(Milliseconds span) {
        const std::uint16_t port = broker_.port();
        std::atomic<int> refused{0};
        std::vector<std::thread> all;
        for (auto& one : publishers_) {
            all.emplace_back([&, port] {
                if (!one->connect(port)) ++refused;
                one->run(span + 10s, messages_per_s);
                one->take_last_words();
            });
        }
        for (auto& one : online_) {
            all.emplace_back([&, port, first = round_ == 0] {
                if (!first && !one->connect(port)) ++refused;
                one->run(60s);
            });
        }
        std::this_thread::sleep_for(span);
        broker_.kill();
        for (std::thread& one : all) one.join();
        EXPECT_EQ(refused, 0) << "clients were not let in, or without their sessions";
        take_upstream();
        ++round_;
    }
    void play(int count) {
        std::uniform_int_distribution<int> span_ms(150, 600);
        for (int i = 0; i < count && !HasFailure(); ++i) {
            play_round(Milliseconds(span_ms(random_)));
            lose_power();
            ASSERT_TRUE(broker_.start(config())) << broker_.log();
            ASSERT_EQ(broker_.log().find("damaged"), std::string::npos) << broker_.log();
        }
    }
    virtual void lose_power() {}
    /// Now and then: it keeps a few megabytes only.
    void take_upstream() {
        if (!upstream_) return;
        for (const auto& one : upstream_->receive(place_, 1))
            arrived_[one.key].insert(std::strtoull(one.payload.c_str(), nullptr, 10));
    }

    /// All publishers come to their end, and all subscribers get what is left.
    void finish() {
        for (auto& one : publishers_) ASSERT_TRUE(one->connect(broker_.port()));
        for (auto& one : publishers_) EXPECT_TRUE(one->finish(30s));
        for (auto* group : {&online_, &offline_}) {
            for (auto& one : *group) {
                ASSERT_TRUE(one->connect(broker_.port()));
                one->run(3s);
                expect_all(*one);
            }
        }
        expect_retained();
        expect_upstream();
        EXPECT_TRUE(broker_.stop()) << broker_.log();
    }
    void expect_all(const SteadySubscriber& subscriber) {
        std::size_t acknowledged = 0, missing = 0, again = 0, out_of_order = 0;
        for (int i = 0; i < publishers; ++i) {
            const auto found = subscriber.topics().find(topic(i));
            const auto& sent = publishers_[static_cast<std::size_t>(i)]->acknowledged();
            acknowledged += sent.size();
            if (found == subscriber.topics().end()) {
                missing += sent.size();
                continue;
            }
            for (const auto number : sent) missing += found->second.numbers.contains(number) ? 0U : 1U;
            out_of_order += found->second.out_of_order;
            const bool once = i % 2 == 1 && subscriber.qos() == QoS::exactly_once;
            if (once) again += found->second.again;
        }
        fmt::print("{}: {} rounds, acknowledged {} missing {} QoS 2 twice {} out of order {}\n",
                   subscriber.client_id(), round_, acknowledged, missing, again, out_of_order);
        EXPECT_GT(acknowledged, 0U);
        EXPECT_EQ(missing, 0U) << subscriber.client_id();
        EXPECT_EQ(again, 0U) << subscriber.client_id();
        EXPECT_EQ(out_of_order, 0U) << subscriber.client_id();
    }
    void expect_retained() {
        MqttClient client;
        ASSERT_TRUE(client.connect(broker_.port(), {.client_id = "retained"}));
        ASSERT_TRUE(client.subscribe("load/#", QoS::at_least_once));
        std::map<std::string, std::string> retained;
        while (const auto message = client.receive_message(1s)) retained[message->topic] = message->payload;
        EXPECT_EQ(retained.size(), static_cast<std::size_t>(publishers_retained));
        for (int i = 0; i < publishers_retained; ++i) {
            EXPECT_EQ(std::strtoull(retained[topic(i)].c_str(), nullptr, 10),
                      publishers_[static_cast<std::size_t>(i)]->sent());
        }
    }
    void expect_upstream() {
        if (!upstream_) return;
        std::size_t acknowledged = 0, missing = 0;
        for (const auto& one : publishers_) acknowledged += one->acknowledged().size();
        const auto complete = [&] {
            take_upstream();
            missing = 0;
            for (int i = 0; i < publishers; ++i)
                for (const auto number : publishers_[static_cast<std::size_t>(i)]->acknowledged())
                    missing += arrived_[fmt::format("publisher-{}", i)].contains(number) ? 0U : 1U;
            return missing == 0;
        };
        for (const auto deadline = Steady::now() + 60s; !complete() && Steady::now() < deadline;)
            std::this_thread::sleep_for(100ms);
        fmt::print("upstream: acknowledged {} missing {}\n", acknowledged, missing);
        EXPECT_EQ(missing, 0U);
    }

    std::mt19937 random_;
    bridge::test::Peer* upstream_ = nullptr;
    std::string place_;
    std::map<std::string, std::set<std::uint64_t>> arrived_;  ///< numbers, by publisher
    int round_ = 0;
    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
    std::vector<std::unique_ptr<LoadPublisher>> publishers_;
    std::vector<std::unique_ptr<SteadySubscriber>> online_, offline_;
};

TEST_F(CrashRounds, nothing_is_lost_and_qos2_comes_once_by_kill_9) {
    ASSERT_NO_FATAL_FAILURE(begin());
    ASSERT_NO_FATAL_FAILURE(play(rounds()));
    finish();
}

class PowerRounds : public CrashRounds {
  protected:
    void lose_power() override { lost_ += power_.lose_unsynced(random_); }
    std::size_t lost_ = 0;
    PowerCut power_{data(), folder_.path() / "unsynced"};
};

TEST_F(PowerRounds, nothing_is_lost_and_qos2_comes_once_when_the_power_goes) {
    ASSERT_NO_FATAL_FAILURE(begin());
    ASSERT_NO_FATAL_FAILURE(play(rounds()));
    finish();
    fmt::print("{} writes had not been synced when the power went\n", lost_);
    // In a few rounds there may have been none; that it follows the files is seen by its own.
    EXPECT_TRUE(std::filesystem::exists(folder_.path() / "unsynced" / "sluice.db-wal"))
        << "the layer does nothing";
}

}  // namespace
}  // namespace sluice::test
