#include "auth/filter_relation.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/topic_oracle.hpp"

namespace sluice::auth {
namespace {

TEST(FilterRelation, Overlap) {
    const auto overlap = [](std::string_view a, std::string_view b) {
        EXPECT_EQ(filters_overlap(a, b), filters_overlap(b, a)) << a << " " << b;
        return filters_overlap(a, b);
    };
    EXPECT_TRUE(overlap("a/b", "a/b"));
    EXPECT_TRUE(overlap("a/+", "+/b"));
    EXPECT_TRUE(overlap("a/#", "a"));
    EXPECT_TRUE(overlap("a/b/#", "a/+"));
    EXPECT_TRUE(overlap("#", "a/b"));
    EXPECT_TRUE(overlap("$SYS/#", "$SYS/+"));
    EXPECT_FALSE(overlap("a/b", "a"));
    EXPECT_FALSE(overlap("a/+", "b/+"));
    EXPECT_FALSE(overlap("a/+", "a"));
    EXPECT_FALSE(overlap("#", "$SYS/#"));
    EXPECT_FALSE(overlap("+/x", "$SYS/x"));
}

TEST(FilterRelation, Covers) {
    EXPECT_TRUE(filter_covers("#", "a/+/#"));
    EXPECT_TRUE(filter_covers("a/#", "a"));
    EXPECT_TRUE(filter_covers("a/#", "a/#"));
    EXPECT_TRUE(filter_covers("a/+", "a/b"));
    EXPECT_TRUE(filter_covers("+/+", "+/b"));
    EXPECT_FALSE(filter_covers("a/+", "a/#"));
    EXPECT_FALSE(filter_covers("a/b", "a/+"));
    EXPECT_FALSE(filter_covers("a", "a/#"));
    EXPECT_FALSE(filter_covers("#", "$SYS/#"));
    EXPECT_FALSE(filter_covers("$SYS/#", "#"));
}

// A topic that both match proves an overlap; a topic outside disproves a cover.
TEST(FilterRelation, AgreesWithTheOracle) {
    const std::uint64_t seed = test::test_seed();
    SCOPED_TRACE("SLUICE_SEED=" + std::to_string(seed));
    test::TopicMaker make(seed);
    std::set<std::string> topics;
    while (topics.size() < 300) topics.insert(make.topic());
    for (int i = 0; i < 300; ++i) {
        const std::string a = make.filter(), b = make.filter();
        const bool overlap = filters_overlap(a, b), covers = filter_covers(a, b);
        for (const std::string& topic : topics) {
            const bool in_a = test::oracle_matches(a, topic), in_b = test::oracle_matches(b, topic);
            if (in_a && in_b) {
                ASSERT_TRUE(overlap) << a << " and " << b << " meet in " << topic;
            }
            if (in_b && !in_a) {
                ASSERT_FALSE(covers) << a << " misses " << topic << " of " << b;
            }
        }
    }
}

}  // namespace
}  // namespace sluice::auth
