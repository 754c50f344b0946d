#include "core/shared_groups.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace sluice::core {
namespace {

using Shards = std::vector<SharedGroups::Shard>;

constexpr std::string_view g_a = "$share/g/a/+";

class SharedGroupsTest : public testing::Test {
  protected:
    SharedGroupsTest() { groups_.set_place(0, 3); }

    void join(SubscriberId id, Readiness readiness = Readiness::ready, std::string_view text = g_a) {
        EXPECT_TRUE(groups_.join(text, id, {}, readiness));
    }
    /// Who gets the next `count` messages.
    std::vector<SubscriberId> members(int count, std::string_view text = g_a) {
        std::vector<SubscriberId> all;
        for (int i = 0; i < count; ++i) {
            const auto member = groups_.pick_member(groups_.find(text), [](const auto&) { return true; });
            all.push_back(member ? member->subscriber : 0);
        }
        return all;
    }
    std::string shards(int count, const Shards& tried = {}) {
        std::string all;
        for (int i = 0; i < count; ++i) {
            const auto shard = groups_.pick_shard(groups_.find(g_a), tried);
            all += shard ? std::to_string(*shard) : "-";
        }
        return all;
    }
    std::vector<std::string> matching(std::string_view topic) {
        std::vector<std::string> all;
        groups_.match(topic,
                      [&](SharedGroups::GroupId id) { all.emplace_back(groups_.share_of(id).view()); });
        std::sort(all.begin(), all.end());
        return all;
    }

    SharedGroups groups_;
};

using Ids = std::vector<SubscriberId>;
using Texts = std::vector<std::string>;

TEST_F(SharedGroupsTest, MembersTakeTurns) {
    for (const SubscriberId id : {1U, 2U, 3U}) join(id);
    EXPECT_EQ(members(7), (Ids{1, 2, 3, 1, 2, 3, 1}));
}

TEST_F(SharedGroupsTest, TheMostReadyComesFirstAndTheFullLast) {
    join(1, Readiness::full);
    join(2, Readiness::away);
    join(3, Readiness::busy);
    join(4, Readiness::ready);
    join(5, Readiness::ready);
    EXPECT_EQ(members(3), (Ids{4, 5, 4}));
    groups_.set_readiness(4, Readiness::busy);
    groups_.set_readiness(5, Readiness::away);
    EXPECT_EQ(members(3), (Ids{3, 4, 3}));
    groups_.set_readiness(3, Readiness::full);
    groups_.set_readiness(4, Readiness::full);
    EXPECT_EQ(members(3), (Ids{2, 5, 2}));
    groups_.set_readiness(2, Readiness::full);
    groups_.set_readiness(5, Readiness::full);
    EXPECT_EQ(members(4), (Ids{1, 3, 4, 2})) << "somebody takes it even so";
}

TEST_F(SharedGroupsTest, WhoIsPassedOverKeepsItsTurn) {
    for (const SubscriberId id : {1U, 2U}) join(id);
    const auto but_not_1 = [](const SharedGroups::Member& member) { return member.subscriber != 1; };
    EXPECT_EQ(groups_.pick_member(groups_.find(g_a), but_not_1)->subscriber, 2U);
    EXPECT_EQ(groups_.pick_member(groups_.find(g_a), but_not_1)->subscriber, 2U);
    EXPECT_EQ(members(2), (Ids{1, 2}));
    EXPECT_FALSE(groups_.pick_member(groups_.find(g_a), [](const auto&) { return false; }));
}

TEST_F(SharedGroupsTest, EqualGroupsWithOtherFiltersAreOtherSubscriptions) {
    join(1);
    join(1, Readiness::ready, "$share/g/a/#");
    join(1, Readiness::ready, "$share/h/a/+");
    join(2);
    EXPECT_EQ(groups_.memberships(), 4U);
    EXPECT_EQ(matching("a/b"), (Texts{"$share/g/a/#", "$share/g/a/+", "$share/h/a/+"}));
    EXPECT_EQ(matching("a/b/c"), (Texts{"$share/g/a/#"}));
    EXPECT_EQ(matching("b"), Texts{});
    EXPECT_EQ(members(2), (Ids{1, 2}));
    EXPECT_EQ(members(2, "$share/h/a/+"), (Ids{1, 1}));
}

TEST_F(SharedGroupsTest, OneReadinessInAllGroups) {
    join(1);
    join(1, Readiness::ready, "$share/h/a/+");
    join(2, Readiness::busy);
    join(2, Readiness::busy, "$share/h/a/+");
    groups_.set_readiness(1, Readiness::away);
    EXPECT_EQ(members(2), (Ids{2, 2}));
    EXPECT_EQ(members(2, "$share/h/a/+"), (Ids{2, 2}));
}

TEST_F(SharedGroupsTest, JoiningAgainReplacesTheOptions) {
    join(1);
    SubscriptionOptions options;
    options.qos = wire::QoS::exactly_once;
    options.identifier = 7;
    EXPECT_FALSE(groups_.join(g_a, 1, options, Readiness::ready));
    EXPECT_EQ(groups_.pick_member(groups_.find(g_a), [](const auto&) { return true; })->options, options);
    EXPECT_EQ(groups_.memberships(), 1U);
}

TEST_F(SharedGroupsTest, AGroupEndsWithItsLastMemberAndWhenThatIsTold) {
    join(1);
    EXPECT_FALSE(groups_.leave(g_a, 2));
    EXPECT_FALSE(groups_.leave("$share/other/a/+", 1));
    EXPECT_EQ(groups_.take_news().size(), 1U);
    EXPECT_TRUE(groups_.leave(g_a, 1));
    EXPECT_FALSE(groups_.leave(g_a, 1));
    EXPECT_EQ(shards(1), "-");
    const auto news = groups_.take_news();
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0].share.view(), g_a);
    EXPECT_EQ(news[0].standing.weight, 0U);
    EXPECT_TRUE(groups_.empty());
    EXPECT_EQ(matching("a/b"), Texts{});
    EXPECT_EQ(groups_.find(g_a), SharedGroups::no_group);
    join(2);
    EXPECT_EQ(members(1), (Ids{2}));
}

TEST_F(SharedGroupsTest, NewsTellOnlyWhatOthersDoNotKnow) {
    join(1);
    join(2);
    auto news = groups_.take_news();
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0].standing, (SharedGroups::Standing{Readiness::ready, 2}));
    EXPECT_FALSE(groups_.has_news());
    groups_.set_readiness(1, Readiness::busy);  // still two connected ones, and one is ready
    EXPECT_TRUE(groups_.take_news().empty());
    groups_.set_readiness(2, Readiness::away);
    groups_.set_readiness(2, Readiness::ready);
    EXPECT_TRUE(groups_.take_news().empty()) << "there and back";
    groups_.set_readiness(1, Readiness::away);
    groups_.set_readiness(2, Readiness::away);
    news = groups_.take_news();
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0].standing, (SharedGroups::Standing{Readiness::away, 2}));
}

TEST_F(SharedGroupsTest, ShardsAreServedByTheNumberOfTheirMembers) {
    join(1);
    groups_.set_standing(g_a, 1, {Readiness::ready, 3});
    groups_.set_standing(g_a, 2, {Readiness::ready, 2});
    std::map<char, int> count;
    for (const char shard : shards(600)) ++count[shard];
    EXPECT_EQ(count, (std::map<char, int>{{'0', 100}, {'1', 300}, {'2', 200}}));
    EXPECT_EQ(shards(12).find("111"), std::string::npos) << "mixed, not in runs";
}

TEST_F(SharedGroupsTest, ShardsWithBetterMembersComeFirst) {
    join(1, Readiness::away);
    EXPECT_EQ(shards(2), "00");
    groups_.set_standing(g_a, 1, {Readiness::busy, 1});
    EXPECT_EQ(shards(2), "11");
    groups_.set_standing(g_a, 2, {Readiness::ready, 1});
    EXPECT_EQ(shards(2), "22");
    groups_.set_standing(g_a, 2, {Readiness::full, 5});
    EXPECT_EQ(shards(2), "11");
    EXPECT_EQ(shards(2, {1}), "00") << "with the one left out that had nobody";
    EXPECT_EQ(shards(2, {0, 1}), "22");
    EXPECT_EQ(shards(2, {2, 1, 0}), "--");
    EXPECT_TRUE(groups_.is_better_elsewhere(groups_.find(g_a)));
    groups_.set_readiness(1, Readiness::busy);
    EXPECT_FALSE(groups_.is_better_elsewhere(groups_.find(g_a))) << "as good is not better";
    groups_.leave(g_a, 1);
    EXPECT_TRUE(groups_.is_better_elsewhere(groups_.find(g_a)));
    EXPECT_FALSE(groups_.is_better_elsewhere(SharedGroups::no_group));
}

TEST_F(SharedGroupsTest, GroupsOfOtherShardsComeAndGo) {
    groups_.set_standing(g_a, 1, {});
    EXPECT_TRUE(groups_.empty());
    groups_.set_standing(g_a, 1, {Readiness::away, 1});
    EXPECT_EQ(matching("a/x"), Texts{std::string(g_a)});
    EXPECT_EQ(members(1), (Ids{0})) << "not here";
    EXPECT_EQ(shards(2), "11");
    groups_.set_standing(g_a, 1, {});
    EXPECT_TRUE(groups_.empty());
}

// Against the plainest model: whatever comes and goes, what is told is what there is.
TEST_F(SharedGroupsTest, StandingsAreRightAfterAnyHistory) {
    std::map<SubscriberId, Readiness> model;
    SharedGroups::Standing told;
    std::uint32_t random = 12345;
    const auto next = [&random](std::uint32_t below) {
        random = random * 1664525 + 1013904223;
        return (random >> 10) % below;
    };
    for (int step = 0; step < 20000; ++step) {
        const SubscriberId id = next(9) + 1;
        const auto readiness = static_cast<Readiness>(next(4));
        switch (next(3)) {
            case 0:
                if (groups_.join(g_a, id, {}, readiness)) {
                    EXPECT_FALSE(model.contains(id));
                    model[id] = readiness;
                }
                break;
            case 1:
                EXPECT_EQ(groups_.leave(g_a, id), model.erase(id) == 1);
                break;
            default:
                groups_.set_readiness(id, readiness);
                if (model.contains(id)) model[id] = readiness;
        }
        if (next(4) != 0) continue;
        for (const auto& news : groups_.take_news()) told = news.standing;
        std::array<std::uint32_t, readiness_count> count{};
        for (const auto& [member, at] : model) ++count[static_cast<std::size_t>(at)];
        SharedGroups::Standing want{Readiness::full, count[3]};
        if (count[2] > 0) want = {Readiness::away, count[2]};
        if (count[1] > 0) want = {Readiness::busy, count[1]};
        if (count[0] > 0) want = {Readiness::ready, count[0] + count[1]};
        ASSERT_EQ(told, want) << "step " << step;
        ASSERT_EQ(groups_.empty(), model.empty());
    }
}

}  // namespace
}  // namespace sluice::core
