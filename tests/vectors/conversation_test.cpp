// Every conversation with the broker in this process (one shard, two shards, and with the client's bytes cut
// in all sorts of ways) and with the real process on its disk.
#include "conversation.hpp"

#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <iostream>
#include <thread>

#include "broker_under_test.hpp"
#include "player.hpp"

namespace sluice::test {
namespace {

enum class Way { one_shard, two_shards, bytes, pieces, process, process_bytes };

struct Case {
    const Conversation* conversation;
    Way way;
};

/// What GoogleTest shows beside the name.
void PrintTo(const Case& one, std::ostream* out) {
    *out << one.conversation->file << ".json";
}

std::string name_of(Way way) {
    switch (way) {
        case Way::one_shard:
            return "one_shard";
        case Way::two_shards:
            return "two_shards";
        case Way::bytes:
            return "byte_by_byte";
        case Way::pieces:
            return "in_two_pieces";
        case Way::process_bytes:
            return "process_byte_by_byte";
        case Way::process:
            break;
    }
    return "process";
}

std::vector<std::size_t> whole(std::size_t) {
    return {};
}

/// A cut behind every byte; a long payload is the same all over, so only its beginning is cut.
std::vector<std::size_t> every_byte(std::size_t bytes) {
    return std::vector<std::size_t>(std::min<std::size_t>(bytes - 1, 600), 1);
}

std::vector<Case> all_cases() {
    std::vector<Case> cases;
    for (const Conversation& one : all_conversations()) {
        if (!one.restarts) {
            if (!one.slow) cases.push_back({&one, Way::one_shard});
            cases.push_back({&one, Way::two_shards});
            cases.push_back({&one, Way::bytes});
            if (!one.slow) cases.push_back({&one, Way::pieces});
        } else {
            cases.push_back({&one, Way::process_bytes});
        }
        cases.push_back({&one, Way::process});
    }
    return cases;
}

void hold(const Case& one) {
    const std::string& limits = one.conversation->limits;
    const auto play = [&](std::unique_ptr<BrokerUnderTest> broker, Cuts cuts) {
        Player(*broker, std::move(cuts)).play(*one.conversation);
        broker->stop();
    };
    switch (one.way) {
        case Way::one_shard:
            return play(make_memory_broker(1, limits), whole);
        case Way::two_shards:
            return play(make_memory_broker(2, limits), whole);
        case Way::bytes:
            return play(make_memory_broker(1, limits), every_byte);
        case Way::pieces:
            for (const int cut : {0, 1, 2}) {
                play(make_memory_broker(1, limits), [cut](std::size_t bytes) -> std::vector<std::size_t> {
                    if (bytes < 2) return {};
                    return {cut == 0 ? 1 : cut == 1 ? bytes / 2 : bytes - 1};
                });
            }
            return;
        case Way::process:
            return play(make_process_broker(2, limits), whole);
        case Way::process_bytes:
            return play(make_process_broker(2, limits), every_byte);
    }
}

/// Empty: it holds, or fails as it is known to.
std::string problem_of(const Case& one) {
    const Conversation& conversation = *one.conversation;
    std::string problem;
    try {
        hold(one);
    } catch (const Mismatch& wrong) {
        problem = wrong.what();
    }
    if (conversation.known_broken.empty()) return problem;
    return problem.empty() ? "it holds now; take the mark away: " + conversation.known_broken : "";
}

/// One by one, for whoever looks for a mistake: --gtest_filter='*NAME_two_shards'.
class ConversationTest : public ::testing::TestWithParam<Case> {};

TEST_P(ConversationTest, Holds) {
    const Conversation& conversation = *GetParam().conversation;
    EXPECT_EQ(problem_of(GetParam()), "") << conversation.file << ".json: " << conversation.name;
}

INSTANTIATE_TEST_SUITE_P(All, ConversationTest, ::testing::ValuesIn(all_cases()), [](const auto& at) {
    return at.param.conversation->name + "_" + name_of(at.param.way);
});

/// All of one way, several at a time, each with a broker of its own: most of what they do is wait.
class AllAtOnce : public ::testing::TestWithParam<Way> {};

TEST_P(AllAtOnce, hold) {
    constexpr std::size_t threads_max = 8;
    const std::vector<Case> cases = all_cases();
    std::vector<std::string> problems(cases.size());
    std::atomic<std::size_t> next{0};
    std::atomic<std::size_t> held{0};
    // A sanitizer's allocator leaves glibc's own unprepared until somebody asks it something ($SYS does), and
    // several threads at once may not be the first.
    (void)::mallinfo2();
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < threads_max; ++i) {
        threads.emplace_back([&] {
            for (std::size_t at = 0; (at = next++) < cases.size();) {
                if (cases[at].way != GetParam()) continue;
                problems[at] = problem_of(cases[at]);
                ++held;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(held, 0U);
    for (std::size_t at = 0; at < cases.size(); ++at) {
        if (problems[at].empty()) continue;
        ADD_FAILURE() << cases[at].conversation->file << ".json: " << cases[at].conversation->name << ": "
                      << problems[at];
    }
    std::cout << held << " conversations\n";
}

INSTANTIATE_TEST_SUITE_P(Way, AllAtOnce,
                         ::testing::Values(Way::one_shard, Way::two_shards, Way::bytes, Way::pieces,
                                           Way::process, Way::process_bytes),
                         [](const auto& at) { return name_of(at.param); });

}  // namespace
}  // namespace sluice::test
