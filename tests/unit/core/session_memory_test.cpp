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
    record(session);
    EXPECT_EQ(take(), (Texts{"b:2"}));
    (void)session.on_puback(2, at(0), effects_);
    (void)session.on_puback(3, at(0), effects_);
    (void)session.on_puback(4, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"c:3", "d:4"}));
    EXPECT_EQ(session.queued_messages(), 0U);
}

// [MQTT-4.4.0-1]: it is read back for the client that comes again.
TEST_F(SessionTest, WhatIsInFlightToAnAbsentClientIsLeftToTheStoreToo) {
    const std::string large(3000, 'x');
    Session session(7, {});
    session.attach(2, at(0), effects_);
    for (int i = 0; i < 3; ++i) offer(session, large + std::to_string(i));
    EXPECT_EQ(take().size(), 2U);
    session.spill();
    EXPECT_EQ(session.inflight_bytes(), bytes_of(disk_[0]) * 2) << "it may be acknowledged any moment";
    session.detach();
    session.spill();
    EXPECT_EQ(session.bytes_in_memory(), 0U);
    EXPECT_EQ(session.load_after(), 0U);
    EXPECT_EQ(session.backlog_messages(), 3U);
    session.attach(2, at(0), effects_);
    EXPECT_TRUE(take().empty());
    session.load_posted();
    session.on_loaded({disk_.begin(), disk_.end()}, true, at(0), effects_);
    EXPECT_EQ(take(), (Texts{large + "0:1d", large + "1:2d"}));
    record(session);
    ASSERT_TRUE(session.on_puback(1, at(0), effects_).ok());
    EXPECT_EQ(take(), (Texts{large + "2:3"}));
    ASSERT_TRUE(session.on_puback(2, at(0), effects_).ok());
    ASSERT_TRUE(session.on_puback(3, at(0), effects_).ok());
    EXPECT_EQ(session.backlog_messages(), 0U);
    EXPECT_EQ(session.bytes_in_memory(), 0U);
}

// It came back, got a part of what was in flight read back, and went again.
TEST_F(SessionTest, WhoGoesBeforeAllIsReadBackLeavesNothingInMemory) {
    const std::string large(3000, 'x');
    Session session(7, {});
    session.attach(3, at(0), effects_);
    for (int i = 0; i < 3; ++i) offer(session, large + std::to_string(i));
    session.detach();
    session.spill();
    take();
    session.attach(3, at(0), effects_);
    session.load_posted();
    session.on_loaded({disk_.begin(), disk_.begin() + 2}, false, at(0), effects_);
    session.detach();
    session.spill();
    EXPECT_EQ(session.bytes_in_memory(), 0U);
    take();
    session.attach(3, at(0), effects_);
    ASSERT_TRUE(effects_.load_wanted);
    session.load_posted();
    session.on_loaded({disk_.begin(), disk_.end()}, true, at(0), effects_);
    EXPECT_EQ(take(), (Texts{large + "0:1d", large + "1:2d", large + "2:3d"}));
}

// What was in flight may be more than there is memory for: it is repeated as it comes, and acknowledged it
// makes room for the rest.
TEST_F(SessionTest, WhatWasInFlightIsRepeatedAWindowAtATime_MQTT_4_6_0_1) {
    const std::string large(3000, 'x');
    Session session(7, {});
    session.attach(10, at(0), effects_);
    for (int i = 0; i < 4; ++i) offer(session, large + std::to_string(i), QoS::exactly_once);
    offer(session, "last");
    (void)session.on_pubrec(2, ReasonCode::success, at(0), effects_);
    session.detach();
    session.spill();
    take();
    session.attach(2, at(0), effects_);
    ASSERT_TRUE(effects_.load_wanted);
    EXPECT_TRUE(take().empty());
    session.load_posted();
    session.on_loaded({disk_[0]}, false, at(0), effects_);
    EXPECT_TRUE(effects_.load_wanted) << "there is more";
    EXPECT_EQ(take(), (Texts{large + "0:1d", "rel:2"})) << "which are two, and may be";
    session.load_posted();
    session.on_loaded({disk_[2]}, false, at(0), effects_);
    EXPECT_TRUE(take().empty());
    ASSERT_TRUE(session.on_pubcomp(2, at(0), effects_).ok());
    EXPECT_EQ(take(), (Texts{large + "2:3d"}));
    session.load_posted();
    session.on_loaded({disk_[3], disk_[4]}, true, at(0), effects_);
    EXPECT_TRUE(take().empty());
    for (const auto id : std::initializer_list<wire::PacketId>{1, 3})
        (void)session.on_pubrec(id, ReasonCode::success, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"rel:1", "rel:3"}));
    ASSERT_TRUE(session.on_pubcomp(1, at(0), effects_).ok());
    EXPECT_EQ(take(), (Texts{large + "3:4d"}));
    ASSERT_TRUE(session.on_pubcomp(3, at(0), effects_).ok());
    EXPECT_EQ(take(), (Texts{"last:5d"}));
    EXPECT_EQ(session.backlog_messages(), 2U);
}

// A receiver may answer late what it got by an earlier connection, while that is being read back.
TEST_F(SessionTest, WhatIsAnsweredBeforeItIsRepeatedDoesNotComeAgain_MQTT_4_3_3_5) {
    const std::string large(3000, 'x');
    for (const bool restarted : {false, true}) {
        Session before(7, {});
        disk_.clear();
        row_ = 0;
        before.attach(10, at(0), effects_);
        for (int i = 0; i < 3; ++i) offer(before, large + std::to_string(i), QoS::exactly_once);
        before.detach();
        before.spill();
        take();
        Session after(7, {});
        after.restore(before.progress(), disk_.size(), 9000, false);
        Session& session = restarted ? after : before;
        session.attach(10, at(0), effects_);
        session.load_posted();
        take();
        ASSERT_TRUE(session.on_pubrec(2, ReasonCode::success, at(0), effects_).ok());
        EXPECT_EQ(take(), (Texts{"rel:2"}));
        ASSERT_TRUE(session.on_pubcomp(2, at(0), effects_).ok());
        ASSERT_TRUE(session.on_pubrec(3, ReasonCode::success, at(0), effects_).ok());
        take();
        session.on_loaded({disk_.begin(), disk_.end()}, true, at(0), effects_);
        EXPECT_EQ(take(), (Texts{large + "0:1d"}));
        EXPECT_EQ(session.queued_messages(), 0U);
        EXPECT_EQ(session.inflight_count(), 2U);
    }
}

// But for what has a packet id already.
TEST_F(SessionTest, APresentClientsQueueIsSpilledToo) {
    constexpr std::size_t messages = 60;
    Session session(7, {});
    session.attach(1, at(0), effects_);
    for (std::size_t i = 1; i <= messages; ++i) offer(session, std::to_string(i));
    const std::size_t with_ids = session.progress().outbound.size();
    ASSERT_LT(with_ids, messages - 1);
    session.spill();
    EXPECT_EQ(session.load_after(), with_ids);
    EXPECT_EQ(session.backlog_messages(), messages);
    EXPECT_EQ(session.progress().outbound.size(), with_ids);
    EXPECT_EQ(session.bytes_in_memory() + bytes_of(disk_[messages - 1]) * (messages - with_ids),
              session.backlog_bytes());
    Texts sent, expected;
    for (std::size_t i = 1; i <= messages; ++i)
        expected.push_back(std::to_string(i) + ":" + std::to_string(i));
    for (std::size_t round = 0; round < 3 * messages && session.backlog_messages() > 0; ++round) {
        record(session);
        const bool load = effects_.load_wanted;
        for (const std::string& one : take()) sent.push_back(one);
        if (load) {
            session.load_posted();
            session.on_loaded(
                {disk_.begin() + static_cast<std::ptrdiff_t>(session.load_after()), disk_.end()}, true, at(0),
                effects_);
        } else {
            (void)session.on_puback(static_cast<wire::PacketId>(sent.size()), at(0), effects_);
        }
    }
    EXPECT_EQ(sent, expected);
    EXPECT_EQ(session.backlog_messages(), 0U);
}

TEST_F(SessionTest, WhenMemoryIsShortNobodyGetsMuchMoreThanHeAcknowledges) {
    const std::string large(10'000, 'x');
    Session session(7, {});
    session.attach(100, at(0), effects_);
    const auto offer_at = [&](MemoryRoom room) {
        QueueEntry entry;
        entry.message = message(large);
        entry.row = ++row_;
        EXPECT_EQ(session.offer(entry, effects_, room), Session::Offered::sent);
    };
    for (int i = 0; i < 5; ++i) offer_at(MemoryRoom::tight);
    EXPECT_EQ(session.inflight_count(), 2U);
    EXPECT_EQ(session.queued_messages(), 3U);
    Session other(8, {});
    other.attach(100, at(0), effects_);
    for (int i = 0; i < 5; ++i) offer(other, large);
    EXPECT_EQ(other.inflight_count(), 5U) << "there is plenty";
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
    record(session);
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
