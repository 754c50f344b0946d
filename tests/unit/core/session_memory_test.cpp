// What a session does when memory is short.
#include "tests/unit/core/session_fixture.hpp"

namespace sluice::core {
namespace {

TEST_F(SessionTest, SpilledMessagesComeBackInOrderAndOnce) {
    QueueBounds bounds;
    bounds.window_messages = 4;
    Session session(7, bounds);
    session.attach(1, at(0), effects_);
    offer(session, "a");
    session.detach();
    for (const char* p : {"b", "c"}) offer(session, p);
    session.spill();
    EXPECT_EQ(session.queued_messages(), 2U);
    EXPECT_EQ(session.load_after(), 1U) << "what is in flight is still in memory";
    offer(session, "d");
    effects_.clear();
    session.attach(1, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"a:1d"}));
    (void)session.on_puback(1, at(0), effects_);
    ASSERT_TRUE(effects_.load_wanted);
    effects_.clear();
    session.load_posted();
    session.spill();  // no effect: a window is on its way
    session.on_loaded({disk_.begin() + 1, disk_.end()}, true, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"b:2"}));
    (void)session.on_puback(2, at(0), effects_);
    (void)session.on_puback(3, at(0), effects_);
    (void)session.on_puback(4, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"c:3", "d:4"}));
    EXPECT_EQ(session.queued_messages(), 0U);
}

TEST_F(SessionTest, WhenMemoryIsTightAPersistentQueueStaysInTheStore) {
    Session session(7, {});
    session.attach(1, at(0), effects_);
    const auto offer_tight = [&](std::string_view payload) {
        QueueEntry entry;
        entry.message = message(payload);
        entry.row = ++row_;
        disk_.push_back(entry);
        return session.offer(entry, effects_, MemoryRoom::tight);
    };
    offer_tight("a");  // may be sent at once
    offer_tight("b");
    EXPECT_EQ(take(), (Texts{"a:1"}));
    EXPECT_EQ(session.load_after(), 1U);
    (void)session.on_puback(1, at(0), effects_);
    ASSERT_TRUE(effects_.load_wanted);
    session.load_posted();
    session.on_loaded({disk_.begin() + 1, disk_.end()}, true, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"b:2"}));
}

TEST_F(SessionTest, WithoutMemoryAVolatileQueueDoesNotGrow) {
    for (const WhenFull policy : {WhenFull::drop_oldest, WhenFull::drop_newest, WhenFull::reject}) {
        QueueBounds bounds;
        bounds.when_full = policy;
        Session session(0, bounds);
        session.attach(1, at(0), effects_);
        std::size_t refused = 0;
        const auto offer_without = [&](std::string_view payload) {
            QueueEntry entry;
            entry.message = message(payload);
            if (session.offer(entry, effects_, MemoryRoom::none) != Session::Offered::sent) ++refused;
        };
        for (const char* p : {"a", "b", "c", "d"}) offer_without(p);
        EXPECT_EQ(session.queued_messages(), 1U);
        EXPECT_EQ(effects_.drops.size(), policy == WhenFull::reject ? 0U : 2U);
        for (const Drop& drop : effects_.drops) EXPECT_EQ(drop.reason, DropReason::memory);
        EXPECT_EQ(refused, policy == WhenFull::drop_oldest ? 0U : 2U);
        effects_.clear();
        (void)session.on_puback(1, at(0), effects_);
        EXPECT_EQ(take(), policy == WhenFull::drop_oldest ? Texts{"d:2"} : Texts{"b:2"});
    }
}

TEST_F(SessionTest, ShedTakesTheOlderHalfOfALongVolatileQueue) {
    Session session(0, {});
    session.attach(1, at(0), effects_);
    const std::string kilobyte(1000, 'x');
    for (int i = 0; i < 10; ++i) offer(session, kilobyte);
    session.shed(effects_);
    EXPECT_TRUE(effects_.drops.empty()) << "not worth it";
    for (int i = 0; i < 90; ++i) offer(session, kilobyte);
    offer(session, "newest");
    session.shed(effects_);
    EXPECT_NEAR(static_cast<double>(effects_.drops.size()), 50, 1);
    EXPECT_NEAR(static_cast<double>(session.queued_messages()), 50, 1);
    Session durable(7, {});
    for (int i = 0; i < 100; ++i) offer(durable, kilobyte);
    effects_.clear();
    durable.shed(effects_);
    EXPECT_TRUE(effects_.drops.empty());
}

}  // namespace
}  // namespace sluice::core
