#include "shard/ticket_table.hpp"

#include <gtest/gtest.h>

namespace sluice::shard {
namespace {

struct Owner final : TicketOwner {
    void on_ticket(std::uint64_t cookie, const TicketAnswer& answer) override {
        ++calls;
        last_cookie = cookie;
        last = answer;
    }
    int calls = 0;
    std::uint64_t last_cookie = 0;
    TicketAnswer last;
};

TEST(TicketTable, WhoTakesItOverHearsTheAnswer) {
    TicketTable table;
    Owner first, second;
    const TicketId id = table.open(first, 1);
    table.add_waits(id, 1);
    table.answer(id, wire::ReasonCode::success, false);
    table.hand_over(id, second, 2);
    table.answer(id, wire::ReasonCode::success, true);
    EXPECT_EQ(first.calls, 0);
    EXPECT_EQ(second.calls, 1);
    EXPECT_EQ(second.last_cookie, 2U);
    EXPECT_TRUE(second.last.matched);
}

TEST(TicketTable, AnswersOnceWhenEveryWaitIsOver) {
    TicketTable table;
    Owner owner;
    const TicketId id = table.open(owner, 42);
    table.add_waits(id, 2);
    table.answer(id, wire::ReasonCode::success, false);
    table.answer(id, wire::ReasonCode::quota_exceeded, false);
    EXPECT_EQ(owner.calls, 0);
    table.answer(id, wire::ReasonCode::success, true);
    EXPECT_EQ(owner.calls, 1);
    EXPECT_EQ(owner.last_cookie, 42U);
    EXPECT_EQ(owner.last.code, wire::ReasonCode::quota_exceeded) << "the worst of all";
    EXPECT_TRUE(owner.last.matched);
    table.answer(id, wire::ReasonCode::success, true);
    EXPECT_EQ(owner.calls, 1) << "a late answer finds nobody";
}

// A publish that noted its result once also gave back a wait that was not its own: acknowledgements left
// before the commit.
TEST(TicketTable, ANoteGivesNoWaitBack) {
    TicketTable table;
    Owner owner;
    const TicketId id = table.open(owner, 1);
    table.note(id, wire::ReasonCode::success, true);
    EXPECT_EQ(owner.calls, 0);
    table.answer(id, wire::ReasonCode::success, false);
    EXPECT_EQ(owner.calls, 1);
    EXPECT_TRUE(owner.last.matched);
}

TEST(TicketTable, ACancelledTicketAnswersNobodyAndItsPlaceIsNotMistakenForAnother) {
    TicketTable table;
    Owner owner;
    const TicketId old = table.open(owner, 1);
    table.cancel(old);
    const TicketId fresh = table.open(owner, 2);
    EXPECT_NE(old, fresh);
    table.answer(old, wire::ReasonCode::success, false);
    EXPECT_EQ(owner.calls, 0);
    table.answer(fresh, wire::ReasonCode::success, false);
    EXPECT_EQ(owner.calls, 1);
    EXPECT_EQ(table.open_count(), 0U);
}

}  // namespace
}  // namespace sluice::shard
