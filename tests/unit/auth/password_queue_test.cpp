#include "auth/password_queue.hpp"

#include <gtest/gtest.h>

namespace sluice::auth {
namespace {

PasswordRequest request(const std::string& source, const std::string& name) {
    PasswordRequest one;
    one.user_name = name;
    one.source = source;
    return one;
}
/// All that wait, in the order of their turns.
std::string order(PasswordQueue& queue) {
    std::string out;
    while (queue.size() > 0) out += queue.pop().user_name + " ";
    return out;
}

TEST(PasswordQueue, SourcesTakeTurnsAndEachKeepsItsOrder) {
    PasswordQueue queue;
    for (const char* name : {"a1", "a2", "a3", "a4"}) queue.push(request("a", name));
    for (const char* name : {"b1", "b2"}) queue.push(request("b", name));
    queue.push(request("c", "c1"));
    EXPECT_EQ(queue.size(), 7U);
    EXPECT_EQ(queue.size_of("a"), 4U);
    EXPECT_EQ(queue.pop().user_name, "a1");
    queue.push(request("d", "d1"));
    EXPECT_EQ(order(queue), "b1 c1 a2 d1 b2 a3 a4 ");
    EXPECT_EQ(queue.size_of("a"), 0U);
}

// A source that comes back does not get in front of those that waited.
TEST(PasswordQueue, WhoReturnsStandsBehind) {
    PasswordQueue queue;
    queue.push(request("a", "a1"));
    queue.push(request("b", "b1"));
    queue.push(request("b", "b2"));
    EXPECT_EQ(queue.pop().user_name, "a1");
    queue.push(request("a", "a2"));
    EXPECT_EQ(order(queue), "b1 a2 b2 ");
}

TEST(PasswordQueue, KnowsHowManyComeFirst) {
    PasswordQueue queue;
    EXPECT_EQ(queue.turns_before("a"), 0U);
    for (int i = 0; i < 50; ++i) queue.push(request("a", "a"));
    EXPECT_EQ(queue.turns_before("a"), 50U);
    EXPECT_EQ(queue.turns_before("b"), 1U);
    queue.push(request("b", "b"));
    EXPECT_EQ(queue.turns_before("b"), 1U + 2U);
    EXPECT_EQ(queue.turns_before("a"), 51U);
    EXPECT_EQ(queue.turns_before("c"), 2U);
}

TEST(PasswordQueue, WhoHasMostGivesWayToWhoHasLess) {
    PasswordQueue queue;
    for (const char* name : {"a1", "a2", "a3"}) queue.push(request("a", name));
    queue.push(request("b", "b1"));
    EXPECT_FALSE(queue.is_full_for("a", 5));
    EXPECT_TRUE(queue.is_full_for("a", 4));
    EXPECT_FALSE(queue.is_full_for("b", 4));
    EXPECT_FALSE(queue.take_from_longest("a"));
    EXPECT_EQ(queue.take_from_longest("b")->user_name, "a3");
    EXPECT_FALSE(queue.take_from_longest("b"))
        << "they would have as much as each other, the other way round";
    EXPECT_EQ(queue.take_from_longest("c")->user_name, "a2");
    EXPECT_FALSE(queue.take_from_longest("c"));
    EXPECT_EQ(order(queue), "a1 b1 ");
}

TEST(PasswordQueue, WhoHasGivenUpIsTakenOut) {
    PasswordQueue queue;
    const auto gone = std::make_shared<std::atomic<bool>>(true);
    for (const char* source : {"a", "b", "b"}) {
        queue.push(request(source, "stays"));
        for (const char* of : {"a", "c"}) {
            auto leaves = request(of, "leaves");
            leaves.given_up = gone;
            queue.push(std::move(leaves));
        }
    }
    EXPECT_EQ(queue.take_given_up().size(), 6U);
    EXPECT_EQ(queue.size(), 3U);
    EXPECT_EQ(queue.size_of("c"), 0U);
    EXPECT_EQ(order(queue), "stays stays stays ");
    queue.push(request("a", "a1"));
    EXPECT_EQ(queue.take_all().size(), 1U);
    EXPECT_EQ(queue.size(), 0U);
}

}  // namespace
}  // namespace sluice::auth
