#include "shard/mailbox.hpp"

#include <gtest/gtest.h>

#include "base/memory_gauge.hpp"

namespace sluice::shard {
namespace {

TEST(Mailbox, WhatWaitsInItCounts) {
    const auto before = memory_gauge::total();
    {
        Mailbox box([] {});
        std::vector<Envelope> burst;
        for (int i = 0; i < 5000; ++i) burst.emplace_back(mail::Ping{});
        box.post_all(burst);
        box.post(mail::Ping{});
        EXPECT_GT(memory_gauge::total(), before + 5001 * sizeof(Envelope));
        EXPECT_LT(burst.capacity(), 5000U) << "what a burst needed is not kept";
        std::vector<Envelope> taken;
        box.take(taken);
        EXPECT_EQ(taken.size(), 5001U);
        box.post(mail::Ping{});
    }
    EXPECT_EQ(memory_gauge::total(), before);
}

}  // namespace
}  // namespace sluice::shard
