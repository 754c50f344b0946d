#include "shard/answer_backlog.hpp"

#include <gtest/gtest.h>

namespace sluice::shard {
namespace {

TEST(AnswerBacklog, CountsWhatHasNotLeft) {
    AnswerBacklog backlog;
    EXPECT_EQ(backlog.answers(0), 0U);
    backlog.queued_answer(100);
    EXPECT_EQ(backlog.answers(100), 100U);
    EXPECT_EQ(backlog.answers(40), 40U);
    backlog.queued_answer(10);
    EXPECT_EQ(backlog.answers(50), 50U);
    EXPECT_EQ(backlog.answers(0), 0U);
    EXPECT_EQ(backlog.taken(0), 110U);
}

TEST(AnswerBacklog, MessagesAreNone) {
    AnswerBacklog backlog;
    backlog.queued_message(1000);
    backlog.queued_answer(4);
    backlog.queued_message(1000);
    EXPECT_EQ(backlog.answers(2004), 4U);
    EXPECT_EQ(backlog.taken(2004), 0U);
    EXPECT_EQ(backlog.taken(1500), 504U);
}

TEST(AnswerBacklog, ForgetsThoseThatHaveLeftThoughTheQueueIsNeverEmpty) {
    AnswerBacklog backlog;
    backlog.queued_message(10'000);
    for (int i = 0; i < 1000; ++i) {
        backlog.queued_answer(10);
        backlog.queued_message(990);
        // There are always ten of them, in 10,000 bytes.
        EXPECT_LE(backlog.answers(10'000), 200U) << i;
        EXPECT_GE(backlog.answers(10'000), std::min(i, 10) * 10U) << i;
    }
}

TEST(AnswerBacklog, WhatAFilterAddsIsNotTaken) {
    AnswerBacklog backlog;
    backlog.queued_answer(10);
    EXPECT_EQ(backlog.taken(40), 0U);
    EXPECT_EQ(backlog.answers(40), 10U);
}

}  // namespace
}  // namespace sluice::shard
