#include "store/settle_ledger.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Settled = SettleLedger::Settled;

constexpr core::RowId row(std::uint64_t counter, unsigned shard = 0) {
    return counter * 256 + shard;
}

TEST(Chunk, holds_consecutive_rows_of_one_shard) {
    static_assert(chunk_of(row(0, 3)) == chunk_of(row(255, 3)));
    static_assert(chunk_of(row(255, 3)) != chunk_of(row(256, 3)));
    static_assert(chunk_of(row(1, 3)) != chunk_of(row(1, 4)));
    for (const core::RowId r : {row(0, 0), row(255, 255), row(256, 1), row(1ULL << 40, 7)})
        EXPECT_EQ(row_at(chunk_of(r), offset_in_chunk(r)), r);
}

TEST(SettleLedger, tells_when_the_last_receiver_is_done) {
    SettleLedger ledger;
    ledger.add_session(1);
    ledger.add_session(2);
    EXPECT_TRUE(ledger.open_row(1, row(1)));
    EXPECT_TRUE(ledger.open_row(2, row(1)));
    EXPECT_FALSE(ledger.open_row(2, row(1))) << "a second time";
    EXPECT_FALSE(ledger.open_row(3, row(1))) << "unknown session";
    EXPECT_EQ(ledger.rows(), 1U);
    EXPECT_EQ(ledger.settle(1, row(1)), Settled::others);
    EXPECT_EQ(ledger.settle(1, row(1)), Settled::not_open);
    EXPECT_FALSE(ledger.is_open(1, row(1)));
    EXPECT_TRUE(ledger.is_open(2, row(1)));
    EXPECT_EQ(ledger.settle(2, row(1)), Settled::last);
    EXPECT_EQ(ledger.settle(2, row(2)), Settled::not_open);
    EXPECT_EQ(ledger.rows(), 0U);
}

TEST(SettleLedger, gives_the_rows_of_a_session_in_order_from_any_place) {
    SettleLedger ledger;
    ledger.add_session(1);
    std::vector<core::RowId> all;
    for (std::uint64_t i = 1; i < 2000; i += 3) {
        ledger.open_row(1, row(i, 5));
        all.push_back(row(i, 5));
    }
    EXPECT_EQ(ledger.open_rows(1, 0, 10000), all);
    for (std::size_t i = 0; i < all.size(); i += 50) {
        const auto rows = ledger.open_rows(1, all[i], 3);
        ASSERT_GE(rows.size(), std::min<std::size_t>(3, all.size() - i - 1));
        for (std::size_t k = 0; k < rows.size(); ++k) EXPECT_EQ(rows[k], all[i + 1 + k]);
    }
    EXPECT_THAT(ledger.open_rows(1, all.back(), 10), IsEmpty());
}

TEST(SettleLedger, a_removed_session_frees_only_what_nobody_else_needs) {
    SettleLedger ledger;
    ledger.add_session(1);
    ledger.add_session(2);
    ledger.open_row(1, row(1));
    ledger.open_row(1, row(300));
    ledger.open_row(2, row(300));
    EXPECT_THAT(ledger.remove_session(1), ElementsAre(row(1)));
    EXPECT_THAT(ledger.remove_session(1), IsEmpty());
    EXPECT_EQ(ledger.rows(), 1U);
    EXPECT_EQ(ledger.settle(2, row(300)), Settled::last);
}

TEST(SettleLedger, marks_say_which_covered_rows_are_open) {
    SettleLedger ledger;
    ledger.add_session(1);
    ledger.add_session(2);
    for (std::uint64_t i = 0; i < 10; ++i) {
        ledger.open_row(1, row(i));
        ledger.open_row(2, row(i));
    }
    ledger.settle(1, row(4));
    const auto mark = ledger.mark(chunk_of(row(0)), 1);
    EXPECT_EQ(mark.covered, 10U);
    EXPECT_FALSE(mark.open.test(4));
    EXPECT_TRUE(mark.open.test(9));
    EXPECT_FALSE(mark.open.test(10));
}

TEST(SettleLedger, a_chunk_with_marks_is_told_when_it_dies) {
    SettleLedger ledger;
    ledger.add_session(1);
    ledger.open_row(1, row(1));
    ledger.open_row(1, row(1000));
    ledger.note_marks(chunk_of(row(1)));
    ledger.settle(1, row(1000));
    EXPECT_THAT(ledger.take_dead_chunks(), IsEmpty()) << "it had no marks";
    ledger.settle(1, row(1));
    EXPECT_FALSE(ledger.chunk_in_use(chunk_of(row(1))));
    EXPECT_THAT(ledger.take_dead_chunks(), ElementsAre(chunk_of(row(1))));
    EXPECT_THAT(ledger.take_dead_chunks(), IsEmpty());
}

}  // namespace
}  // namespace sluice::store
