/// In a control group of 64 MiB: whatever clients do, the broker lives, stays well within, and serves the
/// others; and when they have gone, all is as before.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <memory>

#include "tests/support/memory_group.hpp"
#include "tests/support/process_memory.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/attack_packets.hpp"
#include "tests/system/attackers.hpp"
#include "tests/system/mqtt_client.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using wire::PacketType;
using wire::QoS;
using Steady = std::chrono::steady_clock;

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t group_bytes = 64 * mib;
/// What the broker may use of it: the rest is a margin for what the kernel counts to it.
constexpr std::uint64_t resident_bytes_max = 48 * mib;
/// An attack goes on for so long. What it does in this time is more than enough for 64 MiB.
constexpr auto attack_time = 4s;
/// A healthy client's longest wait for an answer, also where other tests take the machine.
constexpr auto answer_time = 30s;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__clang__)
constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool sanitized = false;
#endif

class InASmallGroup : public ::testing::Test {
  protected:
    void SetUp() override {
        rlimit files{};
        ::getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &files);
        // The sanitizers' own memory fits into no small group; what the broker does in it is looked at
        // anyway.
        if (!sanitized) {
            group_ = std::make_unique<MemoryGroup>(group_bytes);
            if (!group_->made()) GTEST_SKIP() << "no memory control group can be made here";
            broker_.set_group(group_->processes_file());
        }
        start();
    }
    void start() {
        ASSERT_TRUE(broker_.start(fmt::format(
            "[broker]\ndata_dir = \"{}/data\"\nthreads = 2\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n"
            "anonymous = true\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\nanonymous = true\n"
            "transport = \"websocket\"\n[admin]\nport = 0\n[limits]\n{}",
            folder_.path().string(), sanitized ? "memory_max = \"24MiB\"\n" : "")))
            << broker_.log();
        ASSERT_TRUE(healthy_.connect(broker_.port(), {.client_id = "healthy"}));
        ASSERT_TRUE(healthy_.subscribe("healthy/#", QoS::at_least_once));
    }
    void TearDown() override {
        if (IsSkipped() || !broker_.running()) return;
        EXPECT_TRUE(broker_.stop()) << broker_.log();
    }

    /// PINGRESP and PUBACK come in time.
    void serve_healthy() {
        const auto begun = Steady::now();
        healthy_.ping();
        healthy_.publish("other/topic", "x", QoS::at_least_once, 7);
        for (bool pinged = false, acked = false; !pinged || !acked;) {
            const auto packet = healthy_.receive(answer_time);
            ASSERT_TRUE(packet) << "no answer: " << (healthy_.connected() ? "it waits" : "disconnected")
                                << "\n"
                                << broker_.log();
            pinged |= packet->type == PacketType::pingresp;
            if (packet->type != PacketType::puback) continue;
            ASSERT_FALSE(wire::is_error(packet->code)) << wire::name_of(packet->code);
            acked = true;
        }
        const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - begun);
        slowest_ = std::max(slowest_, took);
        ASSERT_LT(took, answer_time);
    }
    void serve_healthy_during_attack() {
        for (const auto end = Steady::now() + attack_time; Steady::now() < end;) {
            ASSERT_NO_FATAL_FAILURE(serve_healthy());
            ASSERT_TRUE(lives());
            std::this_thread::sleep_for(20ms);
        }
    }
    bool lives() {
        if (!broker_.wait(0ms).has_value()) return true;
        ADD_FAILURE() << "the broker has ended; killed by the kernel: " << (group_ ? group_->killed() : 0)
                      << "\n"
                      << broker_.log();
        return false;
    }
    void expect_within_bounds(const std::string& attack) {
        const std::uint64_t peak = memory_of(broker_.pid(), "VmHWM");
        RecordProperty("peak_kib", std::to_string(peak / 1024));
        fmt::print("{}: peak {:.1f} MiB, slowest answer {} ms\n", attack, static_cast<double>(peak) / mib,
                   slowest_.count());
        if (sanitized) return;
        EXPECT_LT(peak, resident_bytes_max) << broker_.log();
        EXPECT_EQ(group_->killed(), 0U);
    }
    /// New clients come in and are served, and what the attack took has gone back to the system.
    void expect_all_as_before() {
        std::string trouble;
        const auto served = [&] {
            MqttClient fresh;
            const auto answer = fresh.connect(broker_.port(), {.client_id = "fresh"});
            if (!answer || wire::is_error(answer->code)) return trouble = "not let in", false;
            if (!fresh.subscribe("fresh/x", QoS::at_least_once)) return trouble = "no subscription", false;
            fresh.publish("fresh/x", "hello", QoS::at_least_once, 1);
            bool acked = false, got = false;
            while (!acked || !got) {
                const auto packet = fresh.receive(2s);
                if (!packet) return trouble = "no answer", false;
                acked |= packet->type == PacketType::puback;
                got |= packet->type == PacketType::publish;
            }
            fresh.disconnect();
            if (!sanitized && memory_of(broker_.pid(), "VmRSS") > resident_bytes_max / 4 * 3)
                return trouble = "memory has not come back", false;
            return true;
        };
        const auto deadline = Steady::now() + 60s;
        while (!served()) {
            ASSERT_TRUE(lives());
            ASSERT_LT(Steady::now(), deadline) << trouble << "\n" << broker_.log();
            std::this_thread::sleep_for(50ms);
        }
        ASSERT_NO_FATAL_FAILURE(serve_healthy());
    }
    /// One attack from its beginning to the time after it.
    void play(const std::string& name, std::vector<Attackers::Plan> plans, std::size_t door = 0) {
        {
            std::vector<std::unique_ptr<Attackers>> all;
            for (Attackers::Plan& plan : plans)
                all.push_back(std::make_unique<Attackers>(broker_.port(door), std::move(plan)));
            ASSERT_NO_FATAL_FAILURE(serve_healthy_during_attack());
        }
        ASSERT_NO_FATAL_FAILURE(expect_all_as_before());
        expect_within_bounds(name);
    }

    TempFolder folder_;
    std::unique_ptr<MemoryGroup> group_;
    SluicedProcess broker_{folder_.path()};
    MqttClient healthy_;
    std::chrono::milliseconds slowest_{0};
};

using namespace attack;

TEST_F(InASmallGroup, a_flood_of_retained_messages) {
    play("retained", {{.count = 4, .next = [](int who, int turn) {
                           if (turn == 0) return connect_as(fmt::format("flood{}", who));
                           std::string out;
                           for (int i = 0; i < 200 && turn < 200; ++i)
                               out += publish(fmt::format("flood/{}/{}/{}/{}", who, turn, i, text(40)),
                                              text(20), {.retain = true});
                           return out;
                       }}});
}

TEST_F(InASmallGroup, many_who_want_all_retained_messages_and_do_not_read) {
    play("retained, wanted", {{.count = 2,
                               .next =
                                   [](int who, int turn) {
                                       if (turn == 0) return connect_as(fmt::format("flood{}", who));
                                       std::string out;
                                       for (int i = 0; i < 200 && turn < 200; ++i)
                                           out += publish(fmt::format("f/{}/{}/{}", who, turn, i), "x",
                                                          {.retain = true});
                                       return out;
                                   }},
                              {.count = 200, .next = [](int who, int turn) {
                                   if (turn == 0) return connect_as(fmt::format("wants{}", who));
                                   // As soon as there are some, and again.
                                   return turn < 4 ? subscribe({"#"}) : std::string();
                               }}});
}

TEST_F(InASmallGroup, messages_that_each_go_to_500_stalled_sessions) {
    play("fan-out", {{.count = 500,
                      .next =
                          [](int who, int turn) {
                              return turn > 0 ? std::string()
                                              : connect_as(fmt::format("stalled{}", who), {.expiry_s = 600}) +
                                                    subscribe({"f/#"}, QoS::at_least_once);
                          }},
                     {.count = 3,
                      .next =
                          [](int who, int turn) {
                              if (turn == 0) return connect_as(fmt::format("source{}", who), {.v5 = false});
                              std::string out;
                              for (int i = 0; i < 20; ++i)
                                  out +=
                                      publish("f/x", text(1000),
                                              {.qos = QoS::at_least_once, .id = turn * 20 + i, .v5 = false});
                              return out;
                          },
                      .reads = true}});
}

TEST_F(InASmallGroup, many_unfinished_packets) {
    play("unfinished", {{.count = 100,
                         .next =
                             [](int who, int turn) {
                                 if (turn == 0) return connect_as(fmt::format("half{}", who));
                                 return turn == 1 ? all_but_the_end(publish("t", text(1'000'000)))
                                                  : std::string();
                             },
                         .comes_back = true}});
}

TEST_F(InASmallGroup, many_unfinished_connects) {
    play("unfinished CONNECT", {{.count = 200,
                                 .next =
                                     [](int who, int turn) {
                                         return turn > 0 ? std::string()
                                                         : all_but_the_end(connect_with_will(
                                                               fmt::format("half{}", who), 1'000'000));
                                     },
                                 .comes_back = true}});
}

TEST_F(InASmallGroup, many_unfinished_packets_over_websocket) {
    play("unfinished, WebSocket",
         {{.count = 100,
           .next =
               [](int who, int turn) {
                   if (turn == 0) return websocket_upgrade();
                   if (turn == 1) return websocket_frame(connect_as(fmt::format("half{}", who)));
                   return turn == 2 ? all_but_the_end(websocket_frame(publish("t", text(1'000'000))))
                                    : std::string();
               },
           .comes_back = true}},
         1);
}

TEST_F(InASmallGroup, many_large_wills) {
    play("wills", {{.count = 100,
                    .next =
                        [](int who, int turn) {
                            return turn > 0 ? std::string()
                                            : connect_with_will(fmt::format("will{}", who), 1'000'000);
                        },
                    .comes_back = true}});
}

TEST_F(InASmallGroup, many_long_topic_aliases) {
    play("aliases", {{.count = 200,
                      .next =
                          [](int who, int turn) {
                              if (turn == 0) return connect_as(fmt::format("alias{}", who));
                              return turn > 10 ? std::string() : publish(text(65'000), "", {.alias = turn});
                          },
                      .comes_back = true}});
}

TEST_F(InASmallGroup, sessions_with_backlogs_that_come_back_at_once) {
    const auto session = [](int who) { return fmt::format("back{}", who); };
    constexpr int sessions = 150;
    for (int i = 0; i < sessions; ++i) {
        MqttClient client;
        ASSERT_TRUE(client.connect(broker_.port(), {session(i), false, 3600}));
        ASSERT_TRUE(client.subscribe("b/#", QoS::at_least_once));
        client.close();
    }
    const std::string payload = text(8'000);
    for (int i = 0; i < 600; ++i) {
        healthy_.publish("b/x", payload, QoS::at_least_once, 5);
        ASSERT_TRUE(healthy_.receive()) << broker_.log();
    }
    play("backlogs", {{.count = sessions, .next = [session](int who, int turn) {
                           return turn > 0
                                      ? std::string()
                                      : connect_as(session(who), {.clean_start = false, .expiry_s = 3600});
                       }}});
    // And nothing of it is lost. Its shard may still be giving back what it holds, and ask it to come later.
    MqttClient client;
    const auto deadline = Steady::now() + 60s;
    const auto let_in = [&] {
        const auto answer = client.connect(broker_.port(), {session(3), false, 3600, 50});
        return answer && !wire::is_error(answer->code);
    };
    while (!let_in()) {
        ASSERT_LT(Steady::now(), deadline) << broker_.log();
        std::this_thread::sleep_for(50ms);
    }
    int received = 0;
    while (received < 600 && Steady::now() < deadline && client.receive_message()) ++received;
    EXPECT_EQ(received, 600) << (client.connected() ? "it waits" : "disconnected") << "\n" << broker_.log();
}

TEST_F(InASmallGroup, readers_that_acknowledge_nothing) {
    play("unacknowledged", {{.count = 100,
                             .next =
                                 [](int who, int turn) {
                                     return turn > 0 ? std::string()
                                                     : connect_as(fmt::format("reader{}", who)) +
                                                           subscribe({fmt::format("r/{}", who)},
                                                                     QoS::at_least_once);
                                 },
                             .reads = true,
                             .comes_back = true},
                            {.count = 4,
                             .next =
                                 [](int who, int turn) {
                                     if (turn == 0)
                                         return connect_as(fmt::format("source{}", who), {.v5 = false});
                                     return publish(fmt::format("r/{}", (turn * 4 + who) % 100), text(30'000),
                                                    {.qos = QoS::at_least_once, .id = turn, .v5 = false});
                                 },
                             .reads = true}});
}

TEST_F(InASmallGroup, many_long_subscriptions) {
    play("subscriptions",
         {{.count = 50,
           .next =
               [](int who, int turn) {
                   if (turn == 0) return connect_as(fmt::format("subscriber{}", who), {.expiry_s = 5});
                   std::vector<std::string> filters;
                   for (int i = 0; i < 100; ++i)
                       filters.push_back(fmt::format("{}/{}/{}/{}", who, turn, i, text(1'000)));
                   return subscribe(filters);
               },
           .reads = true,
           .comes_back = true}});
}

TEST_F(InASmallGroup, many_sessions_with_long_names) {
    play("sessions", {{.count = 50,
                       .next =
                           [name = 0](int who, int turn) mutable {
                               if (turn > 0) return std::string();
                               return connect_as(fmt::format("{}-{}-{}", who, ++name, text(30'000)),
                                                 {.expiry_s = 5}) +
                                      disconnect();
                           },
                       .comes_back = true}});
}

TEST_F(InASmallGroup, many_questions_whose_answers_nobody_reads) {
    play("answers", {{.count = 300, .next = [](int who, int turn) {
                          return turn == 0 ? connect_as(fmt::format("asks{}", who)) : pings(10'000);
                      }}});
}

TEST_F(InASmallGroup, many_packet_ids_that_are_never_released) {
    play("packet ids",
         {{.count = 200,
           .next =
               [](int who, int turn) {
                   if (turn == 0) return connect_as(fmt::format("ids{}", who), {.expiry_s = 5, .v5 = false});
                   if (turn > 650) return std::string();
                   std::string out;
                   for (int i = 0; i < 100; ++i)
                       out +=
                           publish("ids", "", {.qos = QoS::exactly_once, .id = turn * 100 + i, .v5 = false});
                   return out;
               },
           .reads = true}});
}

TEST_F(InASmallGroup, many_publishers_for_readers_that_stall) {
    play("publishers", {{.count = 50,
                         .next =
                             [](int who, int turn) {
                                 return turn > 0 ? std::string()
                                                 : connect_as(fmt::format("stalled{}", who)) +
                                                       subscribe({"p/#"}, QoS::at_least_once);
                             },
                         .comes_back = true},
                        {.count = 300, .next = [](int who, int turn) {
                             if (turn == 0) return connect_as(fmt::format("source{}", who), {.v5 = false});
                             std::string out;
                             for (int i = 0; i < 4; ++i)
                                 out += publish(fmt::format("p/{}", who), text(20'000),
                                                {.qos = QoS::at_least_once, .id = turn * 4 + i, .v5 = false});
                             return out;
                         }}});
}

}  // namespace
}  // namespace sluice::test
