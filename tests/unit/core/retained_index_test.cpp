#include "core/retained_index.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/topic_scan.hpp"
#include "tests/support/topic_oracle.hpp"

namespace sluice::core {
namespace {

using Change = RetainedIndex::Change;
using std::chrono::seconds;
using test::TopicMaker;

constexpr WallTime start{Millis(1'700'000'000'000)};

MessagePtr message(std::string_view topic, std::string_view payload,
                   std::optional<std::uint32_t> expiry_interval_s = {}, WallTime received = start) {
    Message::Fields fields;
    fields.topic = topic;
    fields.payload = as_bytes(payload);
    fields.retain = true;
    fields.received = received;
    fields.expiry_interval_s = expiry_interval_s;
    return Message::freeze(fields);
}

std::vector<std::string> topics(const RetainedIndex& index, std::string_view filter, WallTime now = start) {
    std::vector<std::string> found;
    for (const auto& each : index.match(filter, now)) found.emplace_back(each->topic());
    std::sort(found.begin(), found.end());
    return found;
}
using Topics = std::vector<std::string>;

TEST(RetainedIndex, KeepsTheLastMessageOfATopic_MQTT_3_3_1_5) {
    RetainedIndex index(10);
    EXPECT_FALSE(index.find("a"));
    EXPECT_EQ(index.set(message("a", "1")), Change::stored);
    EXPECT_EQ(index.set(message("a", "2")), Change::replaced);
    EXPECT_EQ(as_text(index.find("a")->payload()), "2");
    EXPECT_EQ(index.size(), 1U);
}

TEST(RetainedIndex, AnEmptyPayloadClears_MQTT_3_3_1_6) {
    RetainedIndex index(10);
    EXPECT_EQ(index.set(message("a", "")), Change::nothing_to_clear);
    index.set(message("a", "1"));
    EXPECT_EQ(index.set(message("a", "")), Change::cleared);
    EXPECT_FALSE(index.find("a"));
    EXPECT_EQ(topics(index, "#"), Topics{});
    EXPECT_EQ(index.size(), 0U);
}

TEST(RetainedIndex, RefusesNewTopicsWhenFullButGoesOnServingOldOnes) {
    RetainedIndex index(2);
    index.set(message("a", "1"));
    index.set(message("b", "1"));
    EXPECT_EQ(index.set(message("c", "1")), Change::refused_full);
    EXPECT_FALSE(index.find("c"));
    EXPECT_EQ(index.set(message("a", "2")), Change::replaced);
    EXPECT_EQ(index.set(message("c", "")), Change::nothing_to_clear);
    EXPECT_EQ(index.set(message("b", "")), Change::cleared);
    EXPECT_EQ(index.set(message("c", "1")), Change::stored);
    EXPECT_EQ(index.size(), 2U);
}

TEST(RetainedIndex, KeepsWhatWasThereBeforeTheLimitWasLowered) {
    RetainedIndex index(2);
    for (const char* topic : {"a", "b", "c", "d"}) index.keep(message(topic, "1"));
    EXPECT_EQ(index.size(), 4U);
    EXPECT_EQ(topics(index, "#").size(), 4U);
    EXPECT_EQ(index.set(message("e", "1")), Change::refused_full);
    EXPECT_EQ(index.set(message("d", "2")), Change::replaced);
    for (const char* topic : {"a", "b"}) EXPECT_EQ(index.set(message(topic, "")), Change::cleared);
    EXPECT_EQ(index.set(message("e", "1")), Change::refused_full) << "still as many as may be";
    EXPECT_EQ(index.set(message("c", "")), Change::cleared);
    EXPECT_EQ(index.set(message("e", "1")), Change::stored);
}

TEST(RetainedIndex, FiltersMatchAsTheSpecificationSays) {
    RetainedIndex index(100);
    for (const char* topic : {"sport", "sport/", "sport/tennis", "sport/tennis/player1", "sport!", "sport0/x",
                              "/", "/finance", "$SYS/uptime", "$SYS", "sports"})
        index.set(message(topic, "x"));
    EXPECT_EQ(topics(index, "sport/#"), (Topics{"sport", "sport/", "sport/tennis", "sport/tennis/player1"}));
    EXPECT_EQ(topics(index, "sport/+"), (Topics{"sport/", "sport/tennis"}));
    EXPECT_EQ(topics(index, "+"), (Topics{"sport", "sport!", "sports"}));
    EXPECT_EQ(topics(index, "+/+"), (Topics{"/", "/finance", "sport/", "sport/tennis", "sport0/x"}));
    EXPECT_EQ(topics(index, "/+"), (Topics{"/", "/finance"}));
    EXPECT_EQ(topics(index, "+/tennis/#"), (Topics{"sport/tennis", "sport/tennis/player1"}));
    EXPECT_EQ(topics(index, "sport/tennis"), Topics{"sport/tennis"});
    EXPECT_EQ(topics(index, "nothing"), Topics{});
    EXPECT_EQ(topics(index, "$SYS/#"), (Topics{"$SYS", "$SYS/uptime"}));
    EXPECT_EQ(topics(index, "#").size(), 9U);  // [MQTT-4.7.2-1]
}

TEST(RetainedIndex, LeavesOutWhatHasExpired_MQTT_3_3_2_5) {
    RetainedIndex index(10);
    index.set(message("a/short", "x", 10));
    index.set(message("a/long", "x", 1000));
    index.set(message("a/ever", "x"));
    EXPECT_EQ(topics(index, "a/+", start + seconds(9)).size(), 3U);
    EXPECT_EQ(topics(index, "a/+", start + seconds(10)), (Topics{"a/ever", "a/long"}));
    EXPECT_EQ(topics(index, "a/short", start + seconds(10)), Topics{});
}

Topics topics_of(const std::vector<RetainedIndex::Expired>& expired) {
    Topics all;
    for (const auto& one : expired) all.emplace_back(one.message->topic());
    return all;
}

TEST(RetainedIndex, ExpiresAFewAtATimeWhenAsked) {
    RetainedIndex index(100);
    for (int i = 0; i < 50; ++i) index.set(message(std::to_string(i), "x", 10));
    EXPECT_EQ(index.expire(start + seconds(10), 20).size(), 20U);
    EXPECT_EQ(index.size(), 30U);
    EXPECT_EQ(index.expire(start + seconds(10), 20).size(), 20U);
    EXPECT_EQ(index.expire(start + seconds(10), 20).size(), 10U);
    EXPECT_EQ(index.size(), 0U);
}

TEST(RetainedIndex, ExpireRemovesAndTells) {
    RetainedIndex index(2);
    index.set(message("a", "x", 10));
    index.set(message("b", "x", 20));
    EXPECT_TRUE(index.expire(start + seconds(9)).empty());
    EXPECT_EQ(topics_of(index.expire(start + seconds(10))), Topics{"a"});
    EXPECT_FALSE(index.find("a"));
    EXPECT_EQ(index.set(message("c", "x")), Change::stored);
    // A replaced message is judged by its new interval.
    index.set(message("b", "y", 100));
    EXPECT_TRUE(index.expire(start + seconds(50)).empty());
    index.set(message("b", "y"));
    EXPECT_TRUE(index.expire(start + seconds(5000)).empty());
    EXPECT_EQ(index.size(), 2U);
}

TEST(RetainedIndex, FootprintFollowsTheMessages) {
    RetainedIndex index(10);
    const std::size_t empty = index.footprint_bytes();
    index.set(message("a", std::string(10000, 'x'), 10));
    EXPECT_GT(index.footprint_bytes(), empty + 10000);
    index.set(message("a", "x"));
    EXPECT_LT(index.footprint_bytes(), empty + 1000);
    index.set(message("a", ""));
    EXPECT_EQ(index.footprint_bytes(), empty);
}

TEST(RetainedIndex, NumbersEveryChangeForTheLedger) {
    RetainedIndex index(2, 2);
    const auto number_of = [&](std::uint32_t writer, std::string_view topic, std::string_view payload) {
        RetainedSequence sequence = 0;
        index.set(message(topic, payload), writer, sequence);
        return sequence;
    };
    EXPECT_EQ(number_of(0, "a", "1"), 1U);
    EXPECT_EQ(number_of(1, "a", "2"), 2U);
    EXPECT_EQ(number_of(1, "b", "1"), 3U);
    EXPECT_EQ(number_of(0, "c", "1"), 0U) << "refused";
    EXPECT_EQ(number_of(0, "a", ""), 4U);
    EXPECT_EQ(number_of(1, "a", ""), 5U) << "what was there may still be on disk";
    EXPECT_EQ(number_of(1, "b", "2"), 6U);
    RetainedIndex alone(2);
    RetainedSequence sequence = 7;
    alone.set(message("a", "1"), 0, sequence);
    EXPECT_EQ(sequence, 0U) << "one writer keeps its order";
}

TEST(RetainedOrder, TellsUpToWhereNothingIsStillToCome) {
    RetainedOrder order(3);
    EXPECT_EQ(order.passed(0), 0U);
    EXPECT_EQ(order.take(0), 1U);
    EXPECT_EQ(order.passed(0), 1U) << "its own are in the batch that says so";
    EXPECT_EQ(order.passed(1), 0U);
    EXPECT_EQ(order.take(1), 2U);
    EXPECT_EQ(order.take(0), 3U);
    EXPECT_EQ(order.passed(1), 0U);
    order.handed_over(0);
    EXPECT_EQ(order.passed(1), 3U);
    EXPECT_EQ(order.passed(2), 1U);
    EXPECT_EQ(order.take(0), 4U);
    EXPECT_EQ(order.passed(1), 3U);
    order.handed_over(1);
    EXPECT_EQ(order.passed(2), 3U);
    order.handed_over(0);
    EXPECT_EQ(order.passed(2), 4U);
}

// Whoever reads "passed" and then takes over what was handed over before has all changes up to that number.
TEST(RetainedOrder, NeverPassesWhatIsStillToCome) {
    constexpr std::uint32_t writers = 3;
    RetainedOrder order(writers);
    std::mutex mutex;
    std::vector<std::thread> threads;
    RetainedSequence passed_before = 0;
    bool contradicted = false;
    for (std::uint32_t w = 0; w < writers; ++w) {
        threads.emplace_back([&, w] {
            for (int turn = 0; turn < 20'000; ++turn) {
                std::vector<RetainedSequence> batch;
                for (int i = 0; i <= turn % 3; ++i) batch.push_back(order.take(w));
                const RetainedSequence passed = order.passed(w);
                {
                    const std::lock_guard lock(mutex);
                    for (const RetainedSequence s : batch) {
                        if (s <= passed_before) contradicted = true;
                    }
                    passed_before = std::max(passed_before, passed);
                }
                order.handed_over(w);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_FALSE(contradicted);
}

TEST(RetainedIndex, DeepTopicsNeedNoStack) {
    RetainedIndex index(10);
    const std::string slashes(65535, '/');
    index.set(message(slashes, "x"));
    EXPECT_EQ(topics(index, "#"), Topics{slashes});
    EXPECT_EQ(topics(index, slashes.substr(0, 60000) + "#"), Topics{slashes});
    std::string plus = "+";
    while (plus.size() + 2 <= 65535) plus += "/+";
    EXPECT_EQ(topics(index, plus), Topics{});
}

TEST(RetainedIndex, AgreesWithTheOracle) {
    const std::uint64_t seed = test::test_seed();
    SCOPED_TRACE("SLUICE_SEED=" + std::to_string(seed));
    TopicMaker make(seed);
    RetainedIndex index(3000);
    std::map<std::string, std::string> model;
    for (int step = 0; step < 4000; ++step) {
        const std::string topic = make.topic();
        const std::string payload = make.below(4) == 0 ? "" : std::to_string(step);
        index.set(message(topic, payload));
        if (payload.empty()) {
            model.erase(topic);
        } else {
            model[topic] = payload;
        }
        ASSERT_EQ(index.size(), model.size());
        if (step % 20 != 0) continue;
        const std::string filter = make.filter();
        std::map<std::string, std::string> expected, seen;
        for (const auto& [key, value] : model)
            if (test::oracle_matches(filter, key)) expected.emplace(key, value);
        for (const auto& each : index.match(filter, start))
            ASSERT_TRUE(seen.emplace(each->topic(), as_text(each->payload())).second)
                << "twice: " << each->topic();
        ASSERT_EQ(seen, expected) << "filter " << filter;
    }
}

// A literal prefix must not cost a look at everything: the scan alone, without threads or clocks.
TEST(TopicScan, LooksOnlyAtWhatCanMatch) {
    std::set<std::string> all;
    for (int site = 0; site < 100; ++site)
        for (int value = 0; value < 100; ++value)
            all.insert("site" + std::to_string(site) + "/value" + std::to_string(value));
    const auto looks = [&](std::string_view filter) {
        std::size_t count = 0, found = 0;
        std::string target;
        for (auto at = all.lower_bound(std::string(scan_begin(filter))); at != all.end(); ++count) {
            const ScanStep step = scan_step(filter, *at, target);
            if (step == ScanStep::end) break;
            if (step == ScanStep::match) ++found;
            at = step == ScanStep::seek ? all.lower_bound(target) : std::next(at);
        }
        return std::pair(count, found);
    };
    EXPECT_LE(looks("site7/#").first, 103U);
    EXPECT_EQ(looks("site7/#").second, 100U);
    EXPECT_LE(looks("site7/+").first, 103U);
    EXPECT_LE(looks("+/value5").first, 301U);
    EXPECT_EQ(looks("+/value5").second, 100U);
    EXPECT_LE(looks("nowhere/#").first, 1U);
}

TEST(RetainedIndex, ItsLimitMayChange) {
    RetainedIndex index(1);
    index.set(message("a", "x"));
    EXPECT_EQ(index.set(message("b", "x")), RetainedIndex::Change::refused_full);
    index.set_messages_max(3);
    EXPECT_EQ(index.set(message("b", "x")), RetainedIndex::Change::stored);
    EXPECT_EQ(index.set(message("c", "x")), RetainedIndex::Change::stored);
    index.set_messages_max(1);
    EXPECT_EQ(index.size(), 3U) << "what is there stays";
    EXPECT_EQ(index.set(message("a", "y")), RetainedIndex::Change::replaced);
    EXPECT_EQ(index.set(message("d", "x")), RetainedIndex::Change::refused_full);
}

// Every matching topic must be seen once although the lock is given back in between.
TEST(RetainedIndex, WritersAndReadersAtOnce) {
    constexpr int stable = 3000, threads = 4, rounds = 15;
    RetainedIndex index(1'000'000);
    for (int i = 0; i < stable; ++i) index.set(message("keep/" + std::to_string(i), "x"));
    std::atomic<bool> done{false};
    std::vector<std::thread> writers;
    for (int w = 0; w < threads; ++w) {
        writers.emplace_back([&, w] {
            for (int i = 0; !done; i = (i + 1) % 2000) {
                const std::string mine = "keep/" + std::to_string(w) + "/" + std::to_string(i);
                index.set(message(mine, "x", 5));
                index.set(message("keep/" + std::to_string(i), "y"));
                if (i % 3 == 0) index.set(message(mine, ""));
                if (i % 100 == 0) index.expire(start + seconds(5));
            }
        });
    }
    for (int round = 0; round < rounds; ++round) {
        EXPECT_EQ(topics(index, "keep/+").size(), static_cast<std::size_t>(stable));
        EXPECT_TRUE(index.find("keep/1"));
        EXPECT_GT(index.footprint_bytes(), 0U);
    }
    done = true;
    for (auto& writer : writers) writer.join();
    index.expire(start + seconds(5));
    EXPECT_EQ(index.size(), static_cast<std::size_t>(stable));
}

TEST(RetainedIndex, TheLimitHoldsAcrossThreads) {
    constexpr std::size_t limit = 500;
    RetainedIndex index(limit);
    std::atomic<std::size_t> stored{0};
    std::vector<std::thread> writers;
    for (int w = 0; w < 4; ++w) {
        writers.emplace_back([&, w] {
            for (int i = 0; i < 1000; ++i)
                if (index.set(message(std::to_string(w) + "/" + std::to_string(i), "x")) == Change::stored)
                    ++stored;
        });
    }
    for (auto& writer : writers) writer.join();
    EXPECT_EQ(stored, limit);
    EXPECT_EQ(index.size(), limit);
    EXPECT_EQ(index.match("#", start).size(), limit);
}

}  // namespace
}  // namespace sluice::core
