// What messages on their way to another shard are expected to take there.
#include "shard/mail_cost.hpp"

#include <gtest/gtest.h>

namespace sluice::shard {
namespace {

class MailCostOf : public testing::Test {
  protected:
    void SetUp() override { open(8, 0); }
    void TearDown() override {
        open(8, 0);
        MailCost::mine().note_all_arrived();
    }
    static void open(int count, std::uint64_t bytes) {
        for (int i = 0; i < count; ++i) MailCost::mine().note_opened(bytes);
    }
    /// How many more bytes count as held when so many have been sent.
    static std::uint64_t counted_for(int count) {
        const std::uint64_t before = memory_gauge::total();
        for (int i = 0; i < count; ++i) MailCost::mine().note_sent();
        return memory_gauge::total() - before;
    }
};

TEST_F(MailCostOf, ThoseThatEachTakeMuchIsCountedBeforeTheyAreOpened) {
    open(8, 100'000);
    EXPECT_EQ(counted_for(10), 1'000'000U);
    EXPECT_TRUE(MailCost::mine().any_on_the_way());
    const std::uint64_t before = memory_gauge::total();
    MailCost::mine().note_all_arrived();
    EXPECT_EQ(before - memory_gauge::total(), 1'000'000U);
}

TEST_F(MailCostOf, ATableThatDoublesOnceIsNotCountedForThoseBehind) {
    open(5, 300);
    open(1, 500'000);
    EXPECT_EQ(counted_for(2000), 0U);
    open(5, 300);
    EXPECT_EQ(counted_for(2000), 0U);
}

TEST_F(MailCostOf, IsForgottenWhenTheyTakeLittleAgain) {
    open(8, 100'000);
    open(8, 300);
    EXPECT_EQ(counted_for(1000), 0U);
}

}  // namespace
}  // namespace sluice::shard
