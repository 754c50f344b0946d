/// What every Store promises of retained messages.
#include "store_fixture.hpp"

namespace sluice::store::testing {
namespace {

class StoreRetained : public StoreContract {};

TEST_P(StoreRetained, the_retained_message_of_a_topic_is_replaced_or_cleared) {
    Model model;
    for (const Batch& entries :
         {batch(core::SetRetained{message("a", "1")}, core::SetRetained{message("b", "1")},
                core::SetRetained{message("c", "1")}),
          batch(core::SetRetained{message("a", "2")}, core::ClearRetained{"b"}, core::ClearRetained{"never"}),
          batch(core::ClearRetained{"c"}, core::SetRetained{message("c", "3")},
                core::SetRetained{message("d", "1")}, core::ClearRetained{"d"})}) {
        model.apply(entries);
        post_and_wait(entries);
    }
    reopen();
    expect_same(model, recovered_);
    EXPECT_EQ(recovered_.retained.size(), 2U);
}

// Two shards: one clears what has expired, the other has set the topic anew and was first, or comes later.
TEST_P(StoreRetained, an_expired_retained_message_is_cleared_only_if_it_is_still_the_one) {
    const auto old_a = message("a", "old"), old_b = message("b", "old"), old_c = message("c", "old");
    const auto old_d = message("d", "old"), old_e = message("e", "old");
    Model model;
    for (const Batch& entries :
         {batch(core::SetRetained{old_a}, core::SetRetained{old_b}, core::SetRetained{old_c},
                core::SetRetained{old_d}),
          batch(core::ClearRetained{"a", old_a}, core::ClearRetained{"never", old_a}),
          batch(core::SetRetained{message("b", "new")}), batch(core::ClearRetained{"b", old_b}),
          batch(core::SetRetained{message("c", "new")}, core::ClearRetained{"c", old_c},
                core::ClearRetained{"d", old_d}, core::SetRetained{message("d", "new")},
                core::SetRetained{old_e}, core::ClearRetained{"e", old_e})}) {
        model.apply(entries);
        post_and_wait(entries);
    }
    reopen();
    expect_same(model, recovered_);
    EXPECT_EQ(recovered_.retained.size(), 3U);
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreRetained, every_kind, name_of_kind);

}  // namespace
}  // namespace sluice::store::testing
