// A full queue that lies in the store loses its oldest messages, which are not read for it.
#include "tests/unit/core/session_fixture.hpp"

namespace sluice::core {
namespace {

class FullSessionTest : public SessionTest {
  protected:
    /// As a restart finds it: `count` messages of three bytes and what a body costs beside them.
    Session restored(const QueueBounds& bounds, int count, const SaveProgress& progress = {}) {
        for (int i = 0; i < count; ++i) disk_.push_back({.row = ++row_, .message = message("old")});
        bytes_ = bytes_of(disk_.front());
        Session session(7, bounds);
        std::size_t in_flight = 0;
        for (const InflightRecord& record : progress.outbound) in_flight += record.row != 0 ? 1 : 0;
        session.restore(progress, disk_.size(), disk_.size() * bytes_, false, in_flight * bytes_);
        return session;
    }
    Session::Offered offer_new(Session& session) { return offer(session, "new"); }
    /// What the effects settle leaves the disk; returns the rows, and that each was counted as a drop.
    std::vector<RowId> take_dropped() {
        std::vector<RowId> rows, dropped;
        for (const SettleMessage& settled : effects_.settled) rows.push_back(settled.row);
        for (const Drop& drop : effects_.drops) {
            EXPECT_EQ(drop.reason, DropReason::queue_full);
            dropped.push_back(drop.row);
        }
        EXPECT_EQ(rows, dropped);
        std::erase_if(disk_, [&](const QueueEntry& e) {
            return std::find(rows.begin(), rows.end(), e.row) != rows.end();
        });
        effects_.clear();
        return rows;
    }
    /// The store's answer.
    void find_oldest(Session& session, std::size_t rows_max = 100) {
        ASSERT_TRUE(effects_.oldest_wanted);
        EXPECT_FALSE(effects_.load_wanted) << "nobody is there who wants the bodies";
        effects_.clear();
        session.oldest_posted();
        auto rows = rows_behind(session.oldest_after());
        const bool exhausted = rows.size() <= rows_max;
        if (!exhausted) rows.resize(rows_max);
        session.on_oldest_found(std::move(rows), exhausted, effects_);
    }
    std::vector<StoredRow> rows_behind(RowId after) const {
        std::vector<StoredRow> rows;
        for (const QueueEntry& e : disk_)
            if (e.row > after) rows.push_back({e.row, bytes_of(e)});
        return rows;
    }
    static QueueBounds three() {
        QueueBounds bounds;
        bounds.messages_max = 3;
        return bounds;
    }
    std::size_t bytes_ = 0;
};

using Rows = std::vector<RowId>;

TEST_F(FullSessionTest, AfterARestartTheOldestGoes) {
    Session session = restored(three(), 3);
    EXPECT_EQ(offer_new(session), Session::Offered::sent);
    EXPECT_TRUE(effects_.drops.empty()) << "not known yet which";
    find_oldest(session);
    EXPECT_EQ(take_dropped(), Rows{1});
    EXPECT_EQ(session.queued_messages(), 3U);
    EXPECT_EQ(session.backlog_bytes(), 3 * bytes_);
    EXPECT_EQ(offer_new(session), Session::Offered::sent);
    EXPECT_EQ(take_dropped(), Rows{2}) << "known from before";
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(offer_new(session), Session::Offered::sent);
        if (effects_.oldest_wanted) find_oldest(session, 2);
        EXPECT_EQ(take_dropped().size(), 1U);
    }
    session.attach(10, at(0), effects_);
    ASSERT_TRUE(effects_.load_wanted);
    session.load_posted();
    session.on_loaded({disk_.begin(), disk_.end()}, true, at(0), effects_);
    record(session);
    EXPECT_EQ(effects_.sends.size(), 3U);
    EXPECT_EQ(session.queued_messages(), 0U);
}

TEST_F(FullSessionTest, AWindowThatIsDroppedBeforeItIsRecordedIsNotTheLast) {
    QueueBounds bounds = three();
    bounds.window_messages = 2;
    Session session = restored(bounds, 3);
    const auto load_two = [&] {
        ASSERT_TRUE(effects_.load_wanted);
        effects_.clear();
        session.load_posted();
        const RowId after = session.load_after();
        // As much again as may be above the limit until the window has come.
        offer_new(session);
        offer_new(session);
        std::vector<QueueEntry> window;
        for (const QueueEntry& e : disk_)
            if (e.row > after && window.size() < 2) window.push_back(e);
        session.on_loaded(std::move(window), false, at(0), effects_);
    };
    session.attach(1, at(0), effects_);
    load_two();
    const std::uint64_t mark = session.record_mark();
    ASSERT_NE(mark, 0U) << "their ids are on the way to the disk";
    offer_new(session);
    EXPECT_EQ(take_dropped(), (Rows{1, 2}));
    effects_.load_wanted = true;
    load_two();
    ASSERT_GT(session.record_mark(), mark) << "those of the next two as well";
    session.on_recorded(mark, at(0), effects_);
    EXPECT_TRUE(effects_.sends.empty());
    EXPECT_EQ(session.queued_messages(), 3U);
    EXPECT_TRUE(effects_.load_wanted) << "nothing else would ever wake it";
}

TEST_F(FullSessionTest, WhatIsInFlightStaysAndIsNotCountedAsWaiting) {
    SaveProgress progress{.session = 7, .outbound = {}, .inbound_released = {}};
    progress.outbound = {{1, 1, {}}, {2, 2, {}}};
    QueueBounds bounds = three();
    Session probe = restored(bounds, 1);
    disk_.clear();
    row_ = 0;
    bounds.bytes_max = 3 * bytes_ + 1;
    Session session = restored(bounds, 4, progress);
    EXPECT_EQ(offer_new(session), Session::Offered::sent);
    EXPECT_FALSE(effects_.oldest_wanted) << "two were waiting: there was room for one";
    EXPECT_EQ(offer_new(session), Session::Offered::sent);
    find_oldest(session);
    EXPECT_EQ(take_dropped(), Rows{3});
    session.attach(2, at(0), effects_);
    session.load_posted();
    session.on_loaded({disk_.begin(), disk_.end()}, true, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"old:1d", "old:2d"}));
    EXPECT_EQ(session.queued_messages(), 3U);
    EXPECT_EQ(session.backlog_bytes(), 5 * bytes_);
}

TEST_F(FullSessionTest, BytesBoundItToo) {
    QueueBounds bounds;
    Session probe = restored(bounds, 1);
    disk_.clear();
    row_ = 0;
    bounds.bytes_max = 3 * bytes_ + bytes_ / 2;
    Session session = restored(bounds, 3);
    QueueEntry large{.row = ++row_, .message = message(std::string(bytes_ + bytes_ / 2, 'x'))};
    const std::size_t large_bytes = bytes_of(large);
    disk_.push_back(large);
    ASSERT_LE(large_bytes, bounds.bytes_max);
    EXPECT_EQ(session.offer(large, effects_), Session::Offered::sent);
    find_oldest(session);
    EXPECT_EQ(take_dropped(), (Rows{1, 2}));
    EXPECT_EQ(session.backlog_bytes(), bytes_ + large_bytes);
    large.row = ++row_;
    large.message = message(std::string(bounds.bytes_max, 'x'));
    EXPECT_EQ(session.offer(large, effects_), Session::Offered::dropped) << "it would not fit alone";
}

TEST_F(FullSessionTest, WhatWasSpilledIsDroppedFromTheFront) {
    Session session(7, three());
    for (int i = 0; i < 3; ++i) offer_new(session);
    session.spill();
    EXPECT_EQ(offer_new(session), Session::Offered::sent);
    find_oldest(session);
    EXPECT_EQ(take_dropped(), Rows{1});
    EXPECT_EQ(session.queued_messages(), 3U);
}

TEST_F(FullSessionTest, AClientThatComesMeanwhileGetsTheNewest) {
    Session session = restored(three(), 3);
    offer_new(session);
    ASSERT_TRUE(effects_.oldest_wanted);
    effects_.clear();
    session.oldest_posted();
    session.attach(1, at(0), effects_);
    ASSERT_TRUE(effects_.load_wanted);
    effects_.clear();
    session.load_posted();
    session.on_oldest_found(rows_behind(0), true, effects_);
    EXPECT_TRUE(effects_.drops.empty()) << "the window tells as well";
    session.on_loaded({disk_.begin(), disk_.end()}, true, at(0), effects_);
    record(session);
    EXPECT_EQ(take(), Texts{"old:1"});
    EXPECT_EQ(session.queued_messages(), 3U) << "one has left: they fit";
}

// The answer to a question that was asked before the window was: what has been loaded since is no answer.
TEST_F(FullSessionTest, AnAnswerThatComesLateDropsNothingThatWasSent) {
    Session session = restored(three(), 3);
    offer_new(session);
    effects_.clear();
    session.oldest_posted();
    const auto rows = rows_behind(0);
    session.attach(10, at(0), effects_);
    session.load_posted();
    session.on_loaded({disk_.begin(), disk_.end()}, true, at(0), effects_);
    record(session);
    EXPECT_EQ(effects_.sends.size(), 4U);
    effects_.clear();
    session.on_oldest_found(rows, true, effects_);
    offer_new(session);
    EXPECT_TRUE(effects_.drops.empty());
    EXPECT_EQ(session.inflight_count(), 5U);
}

// All that had their ids ahead of the sending are among those that are dropped: the next ones get theirs.
TEST_F(FullSessionTest, WhatIsLeftIsSentWhenTheRestOfAWindowWasDropped) {
    QueueBounds bounds = three();
    bounds.window_messages = 100;
    Session session = restored(bounds, 3);
    for (int i = 0; i < 99; ++i) ASSERT_EQ(offer_new(session), Session::Offered::sent);
    session.attach(1, at(0), effects_);
    session.load_posted();
    effects_.clear();
    session.on_loaded({disk_.begin(), disk_.end()}, true, at(0), effects_);
    EXPECT_TRUE(effects_.drops.empty());
    record(session);
    EXPECT_EQ(effects_.drops.size(), 98U);
    EXPECT_EQ(take(), Texts{"old:1"});
    EXPECT_NE(session.record_mark(), 0U);
    record(session);
    ASSERT_TRUE(session.on_puback(1, at(0), effects_).ok());
    EXPECT_EQ(effects_.sends.size(), 1U);
    EXPECT_EQ(session.queued_messages(), 2U);
}

TEST_F(FullSessionTest, WhatIsTakenAboveTheLimitIsBounded) {
    QueueBounds bounds = three();
    bounds.window_messages = 4;
    Session session = restored(bounds, 3);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(offer_new(session), Session::Offered::sent);
    EXPECT_EQ(offer_new(session), Session::Offered::dropped);
    disk_.pop_back();
    EXPECT_EQ(effects_.drops.size(), 1U);
    effects_.drops.clear();
    find_oldest(session, 1);  // the store may tell them one by one
    for (const RowId row : {1U, 2U, 3U}) {
        EXPECT_EQ(effects_.settled.front().row, row);
        const bool more = effects_.oldest_wanted;
        take_dropped();
        effects_.oldest_wanted = more;
        ASSERT_TRUE(more);
        find_oldest(session, 1);
    }
    EXPECT_EQ(take_dropped(), Rows{4});
    EXPECT_EQ(session.queued_messages(), 3U);
}

TEST_F(FullSessionTest, CountsAreSetRightWhenTheStoreHasLess) {
    Session session = restored(three(), 3);
    offer_new(session);
    disk_.pop_front();
    disk_.pop_front();  // found damaged, say
    find_oldest(session);
    EXPECT_TRUE(take_dropped().empty());
    EXPECT_EQ(session.queued_messages(), 2U);
    EXPECT_EQ(session.backlog_bytes(), 2 * bytes_);
}

TEST_F(FullSessionTest, OtherPoliciesLoseNothingThatWasQueued) {
    for (const WhenFull policy : {WhenFull::drop_newest, WhenFull::reject}) {
        disk_.clear();
        QueueBounds bounds = three();
        bounds.when_full = policy;
        Session session = restored(bounds, 3);
        EXPECT_NE(offer_new(session), Session::Offered::sent);
        EXPECT_FALSE(effects_.oldest_wanted);
        EXPECT_TRUE(effects_.settled.empty());
        effects_.clear();
    }
}

// What nobody fetched in time is not wanted any more; 0 means that age does not matter.
TEST_F(SessionTest, MessagesAboveTheAgeAreDroppedWhenTheirTurnComes) {
    for (const auto age_max : {Millis(0), Millis(1000)}) {
        QueueBounds bounds;
        bounds.age_max = age_max;
        Session session(7, bounds);
        disk_.clear();
        QueueEntry old;
        old.message = Message::freeze({.topic = "t", .payload = as_bytes("old"), .received = at(0).wall});
        old.row = ++row_;
        QueueEntry young = old;
        young.message =
            Message::freeze({.topic = "t", .payload = as_bytes("young"), .received = at(1500).wall});
        young.row = ++row_;
        session.offer(std::move(old), effects_);
        session.offer(std::move(young), effects_);
        session.attach(10, at(2000), effects_);
        if (const auto mark = session.record_mark()) session.on_recorded(mark, at(2000), effects_);
        const bool drops = age_max.count() > 0;
        EXPECT_EQ(effects_.drops.size(), drops ? 1U : 0U);
        EXPECT_EQ(take(), drops ? (Texts{"young:1"}) : (Texts{"old:1", "young:2"}));
    }
}

}  // namespace
}  // namespace sluice::core
