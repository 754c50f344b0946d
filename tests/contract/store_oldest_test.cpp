/// What every Store tells of the oldest messages of a queue without reading them.
#include "store_fixture.hpp"

namespace sluice::store::testing {
namespace {

class StoreOldest : public StoreContract {
  protected:
    Found find(SessionKey session, RowId after = 0, std::size_t rows_max = 100) {
        store_->post_find_oldest(0, session, after, rows_max);
        return observer_->next_found();
    }
    static std::vector<std::pair<RowId, std::size_t>> sizes(const Found& found) {
        std::vector<std::pair<RowId, std::size_t>> out;
        for (const core::StoredRow& one : found.rows) out.emplace_back(one.row, one.bytes);
        return out;
    }
    static std::size_t body_bytes(std::string_view payload) { return message("a/b", payload)->body().size(); }
};

TEST_P(StoreOldest, rows_and_sizes_come_in_order_from_disk_and_from_what_waits_for_it) {
    const std::string longer(5000, 'x');
    post_and_wait(batch(save_session(s1), save_session(s2), append(row_id(1), "1", {target(s1)}),
                        append(row_id(2), longer, {target(s1), target(s2)}),
                        append(row_id(3), "", {target(s2)}), append(row_id(4), "44", {target(s1)}),
                        core::SettleMessage{s1, row_id(1)}));
    const auto expect = [&](const Found& found) {
        EXPECT_EQ(found.session, s1);
        EXPECT_EQ(sizes(found), (std::vector<std::pair<RowId, std::size_t>>{{row_id(2), body_bytes(longer)},
                                                                            {row_id(4), body_bytes("44")}}));
        EXPECT_TRUE(found.exhausted);
    };
    expect(find(s1));
    reopen();
    expect(find(s1));
    post(batch(append(row_id(5), "55555", {target(s1)}), core::SettleMessage{s1, row_id(2)}));
    EXPECT_EQ(sizes(find(s1)), (std::vector<std::pair<RowId, std::size_t>>{
                                   {row_id(4), body_bytes("44")}, {row_id(5), body_bytes("55555")}}));
    EXPECT_EQ(find(s1, row_id(4)).rows.size(), 1U);
    const Found first = find(s1, 0, 1);
    ASSERT_EQ(first.rows.size(), 1U);
    EXPECT_EQ(first.rows.front().row, row_id(4));
    EXPECT_FALSE(first.exhausted);
    EXPECT_TRUE(find(s3).rows.empty());
}

TEST_P(StoreOldest, a_restart_tells_how_many_of_the_bytes_were_in_flight) {
    core::SaveProgress progress{s1, {}, {}};
    progress.outbound = {
        {row_id(1), 1, {}}, {0, 2, core::InflightRecord::State::released}, {row_id(3), 3, {}}};
    post_and_wait(batch(save_session(s1), append(row_id(1), "1", {target(s1)}),
                        append(row_id(2), "22", {target(s1)}), append(row_id(3), "333", {target(s1)}),
                        std::move(progress)));
    reopen();
    EXPECT_EQ(recovered(s1).inflight_bytes, body_bytes("1") + body_bytes("333"));
    EXPECT_EQ(recovered(s1).queue_bytes, body_bytes("1") + body_bytes("22") + body_bytes("333"));
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreOldest, every_kind, name_of_kind);

}  // namespace
}  // namespace sluice::store::testing
