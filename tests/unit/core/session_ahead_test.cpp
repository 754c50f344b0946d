// Packet ids are recorded ahead of the sending.
#include "tests/unit/core/session_fixture.hpp"

namespace sluice::core {
namespace {

class SessionAheadTest : public SessionTest {
  protected:
    static Texts recorded(const Session& session) {
        Texts all;
        for (const InflightRecord& record : session.progress().outbound)
            all.push_back(std::to_string(record.row) + ":" + std::to_string(record.packet_id));
        return all;
    }
};

TEST_F(SessionAheadTest, WhatWaitedForTheClientIsRecordedBeforeItIsSent_MQTT_3_3_1_1) {
    Session session(7, {});
    for (const char* p : {"a", "b", "c", "d"}) offer(session, p);
    EXPECT_FALSE(effects_.progress_changed);
    session.attach(2, at(0), effects_);
    EXPECT_TRUE(effects_.progress_changed);
    EXPECT_EQ(take(), Texts{});
    EXPECT_EQ(recorded(session), (Texts{"1:1", "2:2", "3:3", "4:4"}));
    record(session);
    EXPECT_FALSE(effects_.progress_changed) << "a commit for nothing";
    for (const Send& send : effects_.sends) EXPECT_FALSE(send.after_commit) << text(send);
    EXPECT_EQ(take(), (Texts{"a:1", "b:2"}));
    // From here on the queue drains as fast as the client takes it.
    ASSERT_TRUE(session.on_puback(1, at(0), effects_).ok());
    EXPECT_EQ(take(), (Texts{"c:3"}));
    EXPECT_EQ(session.record_mark(), 0U);
    // One that comes now is in the same commit as its record.
    offer(session, "e");
    EXPECT_TRUE(effects_.progress_changed);
    EXPECT_EQ(recorded(session), (Texts{"2:2", "3:3", "4:4", "5:5"}));
    for (const wire::PacketId id : {2, 3}) ASSERT_TRUE(session.on_puback(id, at(0), effects_).ok());
    EXPECT_EQ(take(), (Texts{"d:4", "e:5"}));
}

TEST_F(SessionAheadTest, WithQos2OneThatComesWaitsForItsCommit) {
    Session session(7, {});
    session.attach(1, at(0), effects_);
    offer(session, "a");
    offer(session, "b", QoS::exactly_once);
    offer(session, "c");
    take();
    ASSERT_TRUE(session.on_puback(1, at(0), effects_).ok());
    EXPECT_EQ(take(), Texts{});
    record(session);
    EXPECT_FALSE(effects_.sends.front().after_commit);
    EXPECT_EQ(take(), (Texts{"b:2"}));
}

// Recorded, it may have been sent, and then nobody else may get it when the session ends.
TEST_F(SessionAheadTest, AQos2MessageOfASharedSubscriptionGetsItsIdWhenItCanLeave_MQTT_4_8_2_5) {
    Session session(7, {});
    session.attach(1, at(0), effects_);
    offer(session, "a");
    QueueEntry shared;
    shared.message = message("b", QoS::exactly_once);
    shared.qos = QoS::exactly_once;
    shared.row = ++row_;
    shared.share = Share("$share/g/t");
    session.offer(std::move(shared), effects_);
    offer(session, "c");
    record(session);
    EXPECT_EQ(take(), (Texts{"a:1"}));
    EXPECT_EQ(recorded(session), (Texts{"1:1"}));
    ASSERT_TRUE(session.on_puback(1, at(0), effects_).ok());
    EXPECT_EQ(take(), Texts{});
    record(session);
    EXPECT_EQ(take(), (Texts{"b:2"}));
}

TEST_F(SessionAheadTest, WhatWasNotSentIsNotInFlightWhenTheClientHasGone) {
    Session session(7, {});
    for (const char* p : {"a", "b", "c"}) offer(session, p);
    session.attach(1, at(0), effects_);
    record(session);
    EXPECT_EQ(take(), (Texts{"a:1"}));
    EXPECT_TRUE(session.detach());
    EXPECT_FALSE(session.detach());
    EXPECT_EQ(recorded(session), (Texts{"1:1"}));
    session.attach(2, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"a:1d"}));
    EXPECT_NE(session.record_mark(), 0U);
    record(session);
    EXPECT_EQ(take(), (Texts{"b:2"})) << "for the first time";
}

TEST_F(SessionAheadTest, AFarEndThatIsNotToldOfRepeatsDoesNotWait) {
    Session session(7, {});
    for (const char* p : {"a", "b", "c"}) offer(session, p);
    session.attach(2, at(0), effects_, Session::Repeats::not_told);
    EXPECT_EQ(take(), (Texts{"a:1", "b:2"}));
    EXPECT_EQ(session.record_mark(), 0U);
}

TEST_F(SessionAheadTest, AfterARestartAllThatMayHaveBeenSentHasDup_MQTT_4_4_0_1) {
    Session before(7, {});
    for (int i = 0; i < 10; ++i) offer(before, std::to_string(i));
    before.attach(2, at(0), effects_);
    const SaveProgress progress = before.progress();
    effects_.clear();
    Session after(7, {});
    after.restore(progress, disk_.size(), 1000, false);
    after.attach(2, at(0), effects_);
    after.load_posted();
    after.on_loaded({disk_.begin(), disk_.end()}, true, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"0:1d", "1:2d"})) << "no more than its Receive Maximum";
    for (wire::PacketId id = 1; id <= 10; ++id) ASSERT_TRUE(after.on_puback(id, at(0), effects_).ok());
    EXPECT_EQ(take().back(), "9:10d");
    EXPECT_EQ(after.backlog_messages(), 0U);
}

// Dropped or expired before their turn: their ids are left out, those behind them keep theirs.
TEST_F(SessionAheadTest, WhatIsRecordedKeepsItsIdWhenOneBeforeItGoes) {
    QueueBounds bounds;
    bounds.messages_max = 3;
    Session session(7, bounds);
    session.attach(1, at(0), effects_);
    for (const char* p : {"a", "b", "c", "d"}) offer(session, p);
    effects_.clear();
    offer(session, "e");
    EXPECT_EQ(effects_.drops.size(), 1U);
    EXPECT_TRUE(effects_.progress_changed);
    EXPECT_EQ(recorded(session), (Texts{"1:1", "3:3", "4:4", "5:5"}));
    ASSERT_TRUE(session.on_puback(1, at(0), effects_).ok());
    EXPECT_EQ(take(), (Texts{"c:3"}));
}

// What waits for its record waits in the queue: a full one loses one message for each that comes, no more.
TEST_F(SessionAheadTest, AFullQueueLosesOneForOneWhileTheRecordIsOnItsWay) {
    QueueBounds bounds;
    bounds.messages_max = 3;
    Session session(7, bounds);
    for (const char* p : {"a", "b", "c"}) offer(session, p);
    session.attach(2, at(0), effects_);
    const std::uint64_t mark = session.record_mark();
    offer(session, "d");
    EXPECT_EQ(effects_.drops.size(), 1U);
    session.on_recorded(mark, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"b:2", "c:3"}));
    ASSERT_TRUE(session.on_puback(2, at(0), effects_).ok());
    EXPECT_EQ(take(), Texts{}) << "d came behind that record";
    record(session);
    EXPECT_EQ(take(), (Texts{"d:4"}));
}

TEST_F(SessionAheadTest, WhatTakesThePlaceOfAllThatWaitedForTheirRecordIsSent) {
    QueueBounds bounds;
    bounds.messages_max = 1;
    Session session(7, bounds);
    offer(session, "a");
    session.attach(1, at(0), effects_);
    offer(session, "b");
    effects_.clear();
    EXPECT_NE(session.record_mark(), 0U);
    record(session);
    EXPECT_EQ(take(), (Texts{"b:2"}));
}

// Ids that are still in flight after the wrap are neither announced nor waited for without end.
TEST_F(SessionAheadTest, AnIdInFlightAfterTheWrapIsLeftOut_MQTT_2_2_1_4) {
    Session session(7, {});
    session.attach(2, at(0), effects_);
    offer(session, "stuck");  // id 1
    for (int i = 2; i <= 65533; ++i) {
        offer(session, "m");
        ASSERT_TRUE(session.on_puback(static_cast<wire::PacketId>(i), at(0), effects_).ok());
        effects_.clear();
    }
    for (const char* p : {"a", "b", "c", "d", "e"}) offer(session, p);
    Texts all = take();
    for (int id : {65534, 65535, 2, 3, 4}) {
        ASSERT_TRUE(session.on_puback(static_cast<wire::PacketId>(id), at(0), effects_).ok()) << id;
        record(session);
        for (const std::string& one : take()) all.push_back(one);
    }
    EXPECT_EQ(all, (Texts{"a:65534", "b:65535", "c:2", "d:3", "e:4"}));
    session.detach();
    session.attach(2, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"stuck:1d"}));
}

TEST_F(SessionAheadTest, AsManyIdsAsThereAre) {
    QueueBounds bounds;
    bounds.messages_max = 100'000;
    Session session(7, bounds);
    session.attach(65535, at(0), effects_);
    for (int i = 0; i < 65600; ++i) {
        offer(session, "m");
        if (i % 100 == 0) record(session);
    }
    EXPECT_EQ(session.inflight_count(), 65535U);
    effects_.clear();
    ASSERT_TRUE(session.on_puback(7, at(0), effects_).ok());
    record(session);
    EXPECT_EQ(take(), (Texts{"m:7"}));
}

// A disk that is slower than the client: more are announced at a time, so that the queue does not drain by a
// fixed number a commit.
TEST_F(SessionAheadTest, MoreAreAnnouncedForAClientThatIsFasterThanTheDisk) {
    Session session(7, {});
    for (int i = 0; i < 1000; ++i) offer(session, "m");
    session.attach(10, at(0), effects_);
    std::size_t commits = 0;
    while (session.backlog_messages() > 0 && commits < 1000) {
        record(session);
        ++commits;
        for (bool any = true; any;) {
            std::vector<wire::PacketId> ids;
            for (const Send& send : effects_.sends) ids.push_back(send.packet_id);
            any = !ids.empty();
            effects_.clear();
            for (const wire::PacketId id : ids) ASSERT_TRUE(session.on_puback(id, at(0), effects_).ok());
        }
    }
    EXPECT_LE(commits, 12U);
}

// Messages of a megabyte each: the window is one of bytes as well.
TEST_F(SessionAheadTest, NoMoreIsReadBackThanTheWindowHolds) {
    QueueBounds bounds;
    bounds.window_bytes = 1000;
    Session session(7, bounds);
    const std::string half(500, 'x');
    for (int i = 0; i < 6; ++i) offer(session, half);
    session.spill();
    session.attach(1, at(0), effects_);
    ASSERT_TRUE(effects_.load_wanted);
    effects_.clear();
    session.load_posted();
    session.on_loaded({disk_[0], disk_[1]}, false, at(0), effects_);
    EXPECT_FALSE(effects_.load_wanted) << "it holds as much as it may";
}

}  // namespace
}  // namespace sluice::core
