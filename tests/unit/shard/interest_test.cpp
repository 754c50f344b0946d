#include "shard/interest.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "core/topic_tree.hpp"

namespace sluice::shard {
namespace {

std::string random_name(std::mt19937& random, bool filter) {
    static const std::vector<std::string> levels{"a", "b", "cc", "", "$x"};
    std::string name;
    const std::size_t count = 1 + random() % 20;
    for (std::size_t i = 0; i < count; ++i) {
        if (i > 0) name += '/';
        if (filter && random() % 5 == 0) {
            name += '+';
        } else if (filter && random() % 10 == 0) {
            return name + '#';
        } else {
            name += levels[random() % levels.size()];
        }
    }
    return name.empty() ? "a" : name;
}

// What matters: no subscription that matches is ever missed, whatever stands beside it or was taken away.
TEST(Interest, NeverSaysNoToWhatMatches) {
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
        Interest interest;
        core::TopicTree tree;
        std::vector<std::string> filters;
        for (int i = 0; i < 8; ++i) {
            filters.push_back(random_name(random, true));
            if (tree.subscribe(filters.back(), 1, {})) interest.add(filters.back());
        }
        for (int i = 0; i < 4; ++i) {
            if (tree.unsubscribe(filters[i], 1)) interest.remove(filters[i]);
        }
        for (int i = 0; i < 100; ++i) {
            const std::string topic = random_name(random, false);
            bool matches = false;
            tree.match(topic, [&](core::SubscriberId, const core::SubscriptionOptions&) { matches = true; });
            if (!matches) continue;
            EXPECT_TRUE(interest.may_want(TopicMarks(topic))) << topic;
        }
    }
}

TEST(Interest, TheParentOfAMultiLevelWildcard) {
    Interest interest;
    interest.add("sport/tennis/#");
    EXPECT_TRUE(interest.may_want(TopicMarks("sport/tennis")));
    EXPECT_TRUE(interest.may_want(TopicMarks("sport/tennis/x/y")));
    EXPECT_FALSE(interest.may_want(TopicMarks("sport")));
}

TEST(Interest, SaysNoToTheRest) {
    Interest interest;
    interest.add("farm/1/temperature");
    interest.add("farm/2/+/humidity");
    EXPECT_FALSE(interest.may_want(TopicMarks("farm/1/humidity")));
    EXPECT_FALSE(interest.may_want(TopicMarks("farm/1/temperature/x")));
    EXPECT_TRUE(interest.may_want(TopicMarks("farm/2/barn/humidity")));
    interest.remove("farm/2/+/humidity");
    EXPECT_FALSE(interest.may_want(TopicMarks("farm/2/barn/humidity")));
}

}  // namespace
}  // namespace sluice::shard
