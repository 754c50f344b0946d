#include "listener/newcomers.hpp"

#include <gtest/gtest.h>

namespace sluice::listener {
namespace {

/// Stands for a greeting that nobody looks into.
struct Someone {
    std::shared_ptr<int> owner = std::make_shared<int>(0);
    std::shared_ptr<Greeting> greeting{owner, reinterpret_cast<Greeting*>(owner.get())};
};

TEST(Newcomers, OldestIsPushedOutFirst) {
    Newcomers newcomers;
    const Someone a, b;
    const auto place_a = newcomers.enter(a.greeting);
    const auto place_b = newcomers.enter(b.greeting);
    EXPECT_EQ(newcomers.size(), 2U);
    EXPECT_EQ(newcomers.push_out_oldest(), a.greeting);
    EXPECT_EQ(newcomers.size(), 1U) << "who was pushed out does not count while it leaves";
    EXPECT_EQ(newcomers.push_out_oldest(), b.greeting);
    EXPECT_EQ(newcomers.push_out_oldest(), nullptr);
    EXPECT_EQ(newcomers.size(), 0U);
}

TEST(Newcomers, WhoWaitsForUsStays) {
    Newcomers newcomers;
    const Someone a, b;
    {
        auto place_a = newcomers.enter(a.greeting);
        const auto place_b = newcomers.enter(b.greeting);
        place_a.settle();
        EXPECT_EQ(newcomers.size(), 2U);
        EXPECT_EQ(newcomers.owing(), 1U);
        EXPECT_EQ(newcomers.all().size(), 2U);
        EXPECT_EQ(newcomers.push_out_oldest(), b.greeting);
        EXPECT_EQ(newcomers.push_out_oldest(), nullptr);
        EXPECT_EQ(newcomers.size(), 1U);
    }
    EXPECT_EQ(newcomers.size(), 0U);
}

TEST(Newcomers, WhoLeavesGivesWayFirst) {
    Newcomers newcomers;
    const Someone a, b, c, d;
    const auto place_a = newcomers.enter(a.greeting);
    auto place_b = newcomers.enter(b.greeting);
    auto place_c = newcomers.enter(c.greeting);
    {
        auto place_d = newcomers.enter(d.greeting);
        place_c.settle();
        place_d.leave();
        place_c.leave();
        place_b.leave();
        EXPECT_EQ(newcomers.owing(), 4U);
        EXPECT_EQ(newcomers.push_out_oldest(), b.greeting) << "the oldest of those that leave";
        EXPECT_EQ(newcomers.push_out_oldest(), c.greeting);
    }
    EXPECT_EQ(newcomers.size(), 1U) << "its socket is closed";
    EXPECT_EQ(newcomers.push_out_oldest(), a.greeting);
}

TEST(Newcomers, WhoIsUnsettledOwesUsAgain) {
    Newcomers newcomers;
    const Someone a, b;
    auto place_a = newcomers.enter(a.greeting);
    const auto place_b = newcomers.enter(b.greeting);
    place_a.settle();
    EXPECT_EQ(newcomers.owing(), 1U);
    place_a.unsettle();
    EXPECT_EQ(newcomers.owing(), 2U);
    EXPECT_EQ(newcomers.push_out_oldest(), a.greeting);
}

TEST(Newcomers, WhoWasPushedOutCannotSettle) {
    Newcomers newcomers;
    const Someone a;
    auto place = newcomers.enter(a.greeting);
    EXPECT_EQ(newcomers.push_out_oldest(), a.greeting);
    place.settle();
    EXPECT_EQ(newcomers.size(), 0U);
}

TEST(Newcomers, WhoLeavesIsGone) {
    Newcomers newcomers;
    Someone a;
    const Someone b;
    auto place_a = newcomers.enter(a.greeting);
    const auto place_b = newcomers.enter(b.greeting);
    place_a = {};
    EXPECT_EQ(newcomers.size(), 1U);
    EXPECT_EQ(newcomers.push_out_oldest(), b.greeting);
}

TEST(Newcomers, WhoIsDestroyedMeanwhileIsPassedOver) {
    Newcomers newcomers;
    Someone a;
    const Someone b;
    const auto place_a = newcomers.enter(a.greeting);
    const auto place_b = newcomers.enter(b.greeting);
    a = Someone{};
    EXPECT_EQ(newcomers.push_out_oldest(), b.greeting);
}

TEST(Newcomers, TheLargestGivesWayWhereTooMuchIsKept) {
    Newcomers newcomers;
    const Someone a, b, c, d;
    auto place_a = newcomers.enter(a.greeting);
    auto place_b = newcomers.enter(b.greeting);
    auto place_c = newcomers.enter(c.greeting);
    auto place_d = newcomers.enter(d.greeting);
    EXPECT_EQ(newcomers.push_out_largest(), nullptr) << "nothing is kept for anybody";
    place_a.keep_bytes(10);
    place_b.keep_bytes(1000);
    place_b.keep_bytes(300);
    place_c.keep_bytes(300);
    place_d.keep_bytes(5000);
    place_d.settle();
    EXPECT_EQ(newcomers.kept_bytes(), 5610U);
    EXPECT_EQ(newcomers.push_out_largest(), b.greeting);
    EXPECT_EQ(newcomers.push_out_largest(), c.greeting);
    place_c.keep_bytes(77);  // it is on its way out
    EXPECT_EQ(newcomers.kept_bytes(), 5010U);
    EXPECT_EQ(newcomers.push_out_largest(), a.greeting);
    EXPECT_EQ(newcomers.push_out_largest(), nullptr);
    place_d = {};
    EXPECT_EQ(newcomers.kept_bytes(), 0U);
}

}  // namespace
}  // namespace sluice::listener
