#include "core/topic_tree.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/topic_oracle.hpp"

namespace sluice::core {
namespace {

using test::TopicMaker;

std::vector<SubscriberId> matches(const TopicTree& tree, std::string_view topic) {
    std::vector<SubscriberId> found;
    tree.match(topic, [&](SubscriberId id, const SubscriptionOptions&) { found.push_back(id); });
    std::sort(found.begin(), found.end());
    return found;
}
using Ids = std::vector<SubscriberId>;

TEST(TopicTree, EmptyMatchesNothing) {
    const TopicTree tree;
    EXPECT_EQ(matches(tree, "a"), Ids{});
    EXPECT_EQ(tree.size(), 0U);
}

TEST(TopicTree, ExactFilterMatchesItsTopicOnly) {
    TopicTree tree;
    EXPECT_TRUE(tree.subscribe("sport/tennis", 1, {}));
    EXPECT_EQ(matches(tree, "sport/tennis"), Ids{1});
    for (const char* other :
         {"sport", "sport/tennis/", "/sport/tennis", "sport/tennis/player1", "Sport/tennis"})
        EXPECT_EQ(matches(tree, other), Ids{}) << other;
}

// [MQTT5 4.7.1.2]: "sport/#" also matches the singular "sport", since # includes the parent level.
TEST(TopicTree, HashMatchesTheParentLevelAndAllBelow) {
    TopicTree tree;
    tree.subscribe("sport/tennis/player1/#", 1, {});
    tree.subscribe("#", 2, {});
    for (const char* topic : {"sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/",
                              "sport/tennis/player1/score/wimbledon"})
        EXPECT_EQ(matches(tree, topic), (Ids{1, 2})) << topic;
    EXPECT_EQ(matches(tree, "sport/tennis"), Ids{2});
    EXPECT_EQ(matches(tree, "sport/tennis/player12"), Ids{2});
}

// [MQTT5 4.7.1.3]
TEST(TopicTree, PlusMatchesOneLevel) {
    TopicTree tree;
    tree.subscribe("sport/+", 1, {});
    tree.subscribe("+/+", 2, {});
    tree.subscribe("/+", 3, {});
    tree.subscribe("+", 4, {});
    EXPECT_EQ(matches(tree, "sport"), Ids{4});
    EXPECT_EQ(matches(tree, "sport/"), (Ids{1, 2}));
    EXPECT_EQ(matches(tree, "/finance"), (Ids{2, 3}));
    EXPECT_EQ(matches(tree, "sport/tennis/player1"), Ids{});
}

TEST(TopicTree, EmptyLevelsAreLevels) {
    TopicTree tree;
    tree.subscribe("a//b", 1, {});
    tree.subscribe("a/+/b", 2, {});
    tree.subscribe("/", 3, {});
    EXPECT_EQ(matches(tree, "a//b"), (Ids{1, 2}));
    EXPECT_EQ(matches(tree, "a/b"), Ids{});
    EXPECT_EQ(matches(tree, "/"), Ids{3});
}

TEST(TopicTree, LeadingWildcardsDoNotSeeDollarTopics_MQTT_4_7_2_1) {
    TopicTree tree;
    tree.subscribe("#", 1, {});
    tree.subscribe("+/monitor/Clients", 2, {});
    tree.subscribe("$SYS/#", 3, {});
    tree.subscribe("$SYS/monitor/+", 4, {});
    tree.subscribe("+/#", 5, {});
    EXPECT_EQ(matches(tree, "$SYS/monitor/Clients"), (Ids{3, 4}));
    EXPECT_EQ(matches(tree, "SYS/monitor/Clients"), (Ids{1, 2, 5}));
    EXPECT_EQ(matches(tree, "$SYS"), Ids{3});
    EXPECT_EQ(matches(tree, "a/$SYS"), (Ids{1, 5}));
}

TEST(TopicTree, SubscribingAgainReplacesTheOptions) {
    TopicTree tree;
    SubscriptionOptions options;
    EXPECT_TRUE(tree.subscribe("a/+", 7, options));
    options.qos = wire::QoS::exactly_once;
    options.identifier = 99;
    EXPECT_FALSE(tree.subscribe("a/+", 7, options));
    EXPECT_EQ(tree.size(), 1U);
    int calls = 0;
    tree.match("a/b", [&](SubscriberId id, const SubscriptionOptions& seen) {
        ++calls;
        EXPECT_EQ(id, 7U);
        EXPECT_EQ(seen, options);
    });
    EXPECT_EQ(calls, 1);
}

TEST(TopicTree, UnsubscribeTakesOneAwayAndSaysWhetherItWasThere) {
    TopicTree tree;
    tree.subscribe("a/b", 1, {});
    tree.subscribe("a/b", 2, {});
    EXPECT_FALSE(tree.unsubscribe("a/b", 3));
    EXPECT_FALSE(tree.unsubscribe("a", 1));
    EXPECT_FALSE(tree.unsubscribe("a/b/c", 1));
    EXPECT_FALSE(tree.unsubscribe("a/#", 1));
    EXPECT_TRUE(tree.unsubscribe("a/b", 1));
    EXPECT_FALSE(tree.unsubscribe("a/b", 1));
    EXPECT_EQ(matches(tree, "a/b"), Ids{2});
    EXPECT_EQ(tree.size(), 1U);
}

// Long lists change to an index and back; swap-with-last must keep every entry findable.
TEST(TopicTree, ManySubscribersOfOneFilter) {
    constexpr SubscriberId count = 1000;
    TopicTree tree;
    for (SubscriberId id = 0; id < count; ++id) EXPECT_TRUE(tree.subscribe("news", id, {}));
    for (SubscriberId id = 0; id < count; ++id) EXPECT_FALSE(tree.subscribe("news", id, {}));
    EXPECT_EQ(matches(tree, "news").size(), count);
    for (SubscriberId id = 0; id < count; id += 2) EXPECT_TRUE(tree.unsubscribe("news", id));
    for (SubscriberId id = 0; id < count; id += 2) EXPECT_FALSE(tree.unsubscribe("news", id));
    EXPECT_EQ(matches(tree, "news").size(), count / 2);
    for (SubscriberId id = 1; id < count; id += 2) {
        ASSERT_EQ(matches(tree, "news").front(), id);
        EXPECT_TRUE(tree.unsubscribe("news", id));
    }
    EXPECT_EQ(tree.size(), 0U);
    EXPECT_EQ(matches(tree, "news"), Ids{});
}

TEST(TopicTree, EmptyBranchesAreReused) {
    TopicTree tree;
    const auto fill = [&](int round) {
        for (int i = 0; i < 2000; ++i)
            tree.subscribe(
                "round" + std::to_string(round) + "/device" + std::to_string(i) + "/a level on the heap", 1,
                {});
    };
    fill(0);
    const std::size_t full = tree.footprint_bytes();
    for (int round = 1; round < 10; ++round) {
        for (int i = 0; i < 2000; ++i)
            ASSERT_TRUE(tree.unsubscribe(
                "round" + std::to_string(round - 1) + "/device" + std::to_string(i) + "/a level on the heap",
                1));
        ASSERT_EQ(tree.size(), 0U);
        fill(round);
    }
    EXPECT_EQ(tree.footprint_bytes(), full);
}

TEST(TopicTree, TheDeepestFiltersNeedNoStack) {
    const std::string slashes(65535, '/');
    std::string plus = "+";
    while (plus.size() + 2 <= 65535) plus += "/+";
    std::string words = "a";
    while (words.size() + 2 <= 65535) words += "/a";
    const std::string hash = words.substr(0, 65533) + "/#";
    TopicTree tree;
    SubscriberId id = 0;
    for (const std::string& filter : {slashes, plus, words, hash})
        EXPECT_TRUE(tree.subscribe(filter, ++id, {}));
    EXPECT_EQ(matches(tree, slashes), Ids{1});
    EXPECT_EQ(matches(tree, words), (Ids{2, 3, 4}));
    EXPECT_EQ(matches(tree, words + "/"), Ids{4});
    id = 0;
    for (const std::string& filter : {slashes, plus, words, hash})
        EXPECT_TRUE(tree.unsubscribe(filter, ++id));
    EXPECT_EQ(tree.size(), 0U);
    tree.subscribe(slashes, 1, {});  // and the destructor has a deep tree to take down
}

// More than 64 branches wait at once: the part of the walk that may allocate.
TEST(TopicTree, DeepBranchingEverywhere) {
    constexpr int depth = 200;
    TopicTree tree;
    std::string topic = "a";
    std::vector<std::string> filters;
    for (int i = 1; i < depth; ++i) {
        filters.push_back(topic + "/+" + [&] {
            std::string rest;
            for (int j = i + 1; j < depth; ++j) rest += "/a";
            return rest;
        }());
        topic += "/a";
    }
    SubscriberId id = 0;
    for (const auto& filter : filters) tree.subscribe(filter, id++, {});
    EXPECT_EQ(matches(tree, topic).size(), filters.size());
}

TEST(TopicTree, CanBeMoved) {
    TopicTree first;
    first.subscribe("a", 1, {});
    TopicTree second(std::move(first));
    EXPECT_EQ(matches(second, "a"), Ids{1});
    first = std::move(second);
    EXPECT_EQ(matches(first, "a"), Ids{1});
}

// Against the oracle: a random life of subscribing and unsubscribing, each topic asked along the way.
TEST(TopicTree, AgreesWithTheOracle) {
    const std::uint64_t seed = test::test_seed();
    SCOPED_TRACE("SLUICE_SEED=" + std::to_string(seed));
    TopicMaker make(seed);
    TopicTree tree;
    std::map<std::pair<std::string, SubscriberId>, SubscriptionOptions> model;
    for (int step = 0; step < 4000; ++step) {
        const std::string filter = make.filter();
        const auto id = static_cast<SubscriberId>(make.below(40));
        SubscriptionOptions options;
        options.identifier = static_cast<std::uint32_t>(step);
        const bool shrinking = step / 1000 % 2 == 1;
        if (make.below(10) < (shrinking ? 3U : 7U)) {
            ASSERT_EQ(tree.subscribe(filter, id, options),
                      model.insert_or_assign({filter, id}, options).second);
        } else if (!model.empty() && make.below(4) != 0) {
            auto victim = model.begin();
            std::advance(victim, make.below(model.size()));
            ASSERT_TRUE(tree.unsubscribe(victim->first.first, victim->first.second));
            model.erase(victim);
        } else {
            ASSERT_EQ(tree.unsubscribe(filter, id), model.erase({filter, id}) == 1);
        }
        ASSERT_EQ(tree.size(), model.size());
        if (step % 5 != 0) continue;
        const std::string topic = make.topic();
        std::multiset<std::pair<SubscriberId, std::uint32_t>> expected, seen;
        for (const auto& [key, kept] : model)
            if (test::oracle_matches(key.first, topic)) expected.emplace(key.second, kept.identifier);
        tree.match(topic,
                   [&](SubscriberId who, const SubscriptionOptions& o) { seen.emplace(who, o.identifier); });
        ASSERT_EQ(seen, expected) << "topic " << topic;
    }
    while (!model.empty()) {
        const auto [filter, id] = model.begin()->first;
        ASSERT_TRUE(tree.unsubscribe(filter, id));
        model.erase(model.begin());
    }
    EXPECT_EQ(tree.size(), 0U);
}

// The promise of the design: a million subscriptions in well under 400 MB, here a tenth of it.
TEST(TopicTree, MemoryPerSubscriptionStaysSmall) {
    constexpr std::size_t count = 100000;
    TopicTree tree;
    for (std::size_t i = 0; i < count; ++i)
        tree.subscribe("plant/line" + std::to_string(i % 50) + "/device-" + std::to_string(i) + "/command",
                       static_cast<SubscriberId>(i), {});
    RecordProperty("bytes_per_subscription", static_cast<int>(tree.footprint_bytes() / count));
    EXPECT_LT(tree.footprint_bytes(), count * 200);
}

}  // namespace
}  // namespace sluice::core
