#include "shard/memory_watch.hpp"

#include <gtest/gtest.h>

namespace sluice::shard {
namespace {

using Level = MemoryWatch::Level;

constexpr MonoTime now{Millis(1000)};

TEST(MemoryWatch, RisesAtOnceAndFallsWithAMargin) {
    MemoryWatch watch;
    const auto at = [&](std::uint64_t bytes) {
        watch.look(now, 0, bytes, 800);
        return watch.level();
    };
    EXPECT_EQ(at(699), Level::plenty);
    EXPECT_EQ(at(700), Level::tight);
    EXPECT_EQ(at(600), Level::tight);
    EXPECT_EQ(at(599), Level::plenty);
    EXPECT_EQ(at(650), Level::plenty);
    EXPECT_EQ(at(800), Level::full);
    EXPECT_EQ(at(700), Level::full);
    EXPECT_EQ(at(699), Level::tight);
    EXPECT_EQ(at(799), Level::tight);
    EXPECT_EQ(at(5000), Level::full);
    EXPECT_EQ(at(0), Level::plenty);
}

TEST(MemoryWatch, IsOverHalfABudgetBeyondIt) {
    MemoryWatch watch;
    const auto over = [&](std::uint64_t bytes, std::uint64_t bytes_max) {
        watch.look(now, 0, bytes, bytes_max);
        return watch.over();
    };
    EXPECT_FALSE(over(1199, 800));
    EXPECT_TRUE(over(1200, 800));
    EXPECT_FALSE(over(1199, 800));
    EXPECT_FALSE(over(UINT64_MAX, 0));
}

TEST(MemoryWatch, WithoutABudgetThereIsPlenty) {
    MemoryWatch watch;
    EXPECT_TRUE(watch.look(now, 0, 1000, 10));
    EXPECT_EQ(watch.level(), Level::full);
    EXPECT_TRUE(watch.look(now, 0, UINT64_MAX, 0));
    EXPECT_EQ(watch.level(), Level::plenty);
}

TEST(MemoryWatch, IsDueNowAndThen) {
    MemoryWatch watch;
    EXPECT_TRUE(watch.due(now, 0));
    EXPECT_FALSE(watch.look(now, 5000, 0, 6400));
    EXPECT_FALSE(watch.due(now, 5000));
    EXPECT_TRUE(watch.due(now + Millis(10), 5000));
    EXPECT_FALSE(watch.due(now, 5099));
    EXPECT_TRUE(watch.due(now, 5100)) << "a 64th of the budget has come";
}

}  // namespace
}  // namespace sluice::shard
