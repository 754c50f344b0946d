#include "bridge/amqp/unconfirmed.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::bridge::amqp {
namespace {

Held numbered(std::uint64_t tag) {
    Held held;
    held.out.tag = tag;
    return held;
}

/// Sends so many, which get the delivery tags 1, 2, ... and the same numbers as their own tags.
void send(Unconfirmed& unconfirmed, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) unconfirmed.add(numbered(unconfirmed.next_tag()));
}

std::vector<std::uint64_t> settle(Unconfirmed& unconfirmed, std::uint64_t tag, bool multiple) {
    std::vector<std::uint64_t> settled;
    unconfirmed.settle(tag, multiple,
                       [&](const Unconfirmed::Sent& sent) { settled.push_back(sent.held.out.tag); });
    return settled;
}

using Tags = std::vector<std::uint64_t>;

TEST(AmqpUnconfirmed, one_that_is_never_confirmed_holds_nothing_but_itself) {
    Unconfirmed unconfirmed;
    send(unconfirmed, 1);
    for (std::uint64_t tag = 2; tag <= 100'000; ++tag) {
        send(unconfirmed, 1);
        ASSERT_EQ(settle(unconfirmed, tag, false), Tags{tag});
    }
    EXPECT_EQ(unconfirmed.size(), 1U);
    EXPECT_EQ(settle(unconfirmed, 1, false), Tags{1});
    EXPECT_TRUE(unconfirmed.empty());
    EXPECT_EQ(unconfirmed.next_tag(), 100'001U);
}

TEST(AmqpUnconfirmed, an_ack_of_many_settles_what_is_left_up_to_it) {
    Unconfirmed unconfirmed;
    send(unconfirmed, 6);
    EXPECT_EQ(settle(unconfirmed, 2, false), Tags{2});
    EXPECT_EQ(settle(unconfirmed, 4, true), (Tags{1, 3, 4}));
    EXPECT_EQ(settle(unconfirmed, 4, true), Tags{});
    EXPECT_EQ(settle(unconfirmed, 0, true), (Tags{5, 6}));
    EXPECT_EQ(settle(unconfirmed, 0, true), Tags{});
}

TEST(AmqpUnconfirmed, tags_that_mean_nothing_do_nothing) {
    Unconfirmed unconfirmed;
    send(unconfirmed, 2);
    EXPECT_EQ(settle(unconfirmed, 0, false), Tags{});
    EXPECT_EQ(settle(unconfirmed, 3, false), Tags{});
    unconfirmed.came_back(7, "unroutable");
    EXPECT_EQ(settle(unconfirmed, 9, true), (Tags{1, 2}));
}

TEST(AmqpUnconfirmed, what_came_back_says_why_and_a_new_channel_counts_from_one) {
    Unconfirmed unconfirmed;
    send(unconfirmed, 2);
    unconfirmed.came_back(2, "unroutable");
    std::vector<std::string> reasons;
    unconfirmed.settle(2, true, [&](const Unconfirmed::Sent& sent) { reasons.push_back(sent.returned); });
    EXPECT_EQ(reasons, (std::vector<std::string>{"", "unroutable"}));
    unconfirmed.clear();
    EXPECT_EQ(unconfirmed.next_tag(), 1U);
}

}  // namespace
}  // namespace sluice::bridge::amqp
