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

// Two shards change one topic; the entries of the one whose turn took longer come later.
TEST_P(StoreRetained, what_memory_took_last_wins_whoever_comes_first) {
    Model model;
    for (const Batch& entries :
         {batch(core::SetRetained{message("set", "newer"), 2}, core::ClearRetained{"cleared", 4},
                core::SetRetained{message("set anew", "1"), 5}, core::SetRetained{message("expired", "1"), 6},
                core::SetRetained{message("twice", "2"), 11}),
          // A whole commit in between, and after a number that others have passed.
          batch(core::SetRetained{message("else", "1"), 12}, core::RetainedUpTo{0}),
          batch(core::SetRetained{message("set", "older"), 1},
                core::SetRetained{message("cleared", "older"), 3},
                core::SetRetained{message("set anew", "2"), 8}, core::ClearRetained{"expired", 9},
                core::SetRetained{message("twice", "1"), 10}, core::SetRetained{message("twice", "3"), 13}),
          batch(core::ClearRetained{"set anew", 7}, core::RetainedUpTo{13})}) {
        model.apply(entries);
        post_and_wait(entries);
    }
    reopen();
    expect_same(model, recovered_);
    std::map<std::string, std::string> want{
        {"set", "newer"}, {"set anew", "2"}, {"twice", "3"}, {"else", "1"}},
        got;
    for (const auto& m : recovered_.retained) got[std::string(m->topic())] = payload_of(m);
    EXPECT_EQ(got, want);
}

// All in one group, before any of it is on disk.
TEST_P(StoreRetained, what_memory_took_last_wins_within_a_commit) {
    post(batch(core::SetRetained{message("set", "newer"), 2}, core::ClearRetained{"cleared", 4}));
    post_and_wait(batch(core::SetRetained{message("set", "older"), 1},
                        core::SetRetained{message("cleared", "older"), 3}));
    reopen();
    ASSERT_EQ(recovered_.retained.size(), 1U);
    EXPECT_EQ(payload_of(recovered_.retained.front()), "newer");
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreRetained, every_kind, name_of_kind);

}  // namespace
}  // namespace sluice::store::testing
