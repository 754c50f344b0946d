#include "tests/unit/core/session_fixture.hpp"

namespace sluice::core {
namespace {

TEST_F(SessionTest, SendsWithRisingPacketIdsUpToTheReceiveMaximum_MQTT_3_3_4_9) {
    Session session(0, {});
    session.attach(2, at(0), effects_);
    for (const char* p : {"a", "b", "c"}) offer(session, p);
    EXPECT_EQ(take(), (Texts{"a:1", "b:2"}));
    ASSERT_TRUE(session.on_puback(2, at(0), effects_).ok());
    EXPECT_EQ(take(), (Texts{"c:3"}));
    EXPECT_EQ(session.on_puback(2, at(0), effects_).error(), ReasonCode::packet_identifier_not_found);
}

TEST_F(SessionTest, QoS0GoesOutAtOnceAndIsDroppedWhileOffline) {
    Session session(0, {});
    session.attach(1, at(0), effects_);
    offer(session, "x", QoS::at_most_once);
    EXPECT_EQ(take(), (Texts{"x:0"}));
    session.detach();
    EXPECT_EQ(offer(session, "y", QoS::at_most_once), Session::Offered::dropped);
    ASSERT_EQ(effects_.drops.size(), 1U);
    EXPECT_EQ(effects_.drops[0].reason, DropReason::offline_qos0);
}

TEST_F(SessionTest, RepeatsInOrderWithDupAndTheSameIds_MQTT_4_4_0_1) {
    Session session(7, {});
    session.attach(10, at(0), effects_);
    for (const char* p : {"a", "b", "c"}) offer(session, p);
    (void)session.on_puback(2, at(0), effects_);
    session.detach();
    offer(session, "d");
    take();
    session.attach(10, at(0), effects_);
    record(session);
    EXPECT_EQ(take(), (Texts{"a:1d", "c:3d", "d:4"}));
}

TEST_F(SessionTest, QoS2KeepsTheIdUntilPubcompAndRepeatsOnlyPubrel_MQTT_4_3_3_4) {
    Session session(7, {});
    session.attach(10, at(0), effects_);
    offer(session, "a", QoS::exactly_once);
    EXPECT_TRUE(effects_.sends[0].after_commit);
    take();
    ASSERT_TRUE(session.on_pubrec(1, ReasonCode::success, at(0), effects_).ok());
    EXPECT_EQ(effects_.settled.size(), 1U);
    EXPECT_TRUE(effects_.sends[0].after_commit);
    EXPECT_EQ(take(), (Texts{"rel:1"}));
    session.detach();
    session.attach(10, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"rel:1"}));
    ASSERT_TRUE(session.on_pubcomp(1, at(0), effects_).ok());
    EXPECT_EQ(session.inflight_count(), 0U);
}

TEST_F(SessionTest, APubrecWithAnErrorEndsTheDelivery_MQTT_4_4_0_2) {
    Session session(7, {});
    session.attach(1, at(0), effects_);
    offer(session, "a", QoS::exactly_once);
    offer(session, "b", QoS::exactly_once);
    take();
    ASSERT_TRUE(session.on_pubrec(1, ReasonCode::quota_exceeded, at(0), effects_).ok());
    EXPECT_EQ(effects_.drops.size(), 1U);
    record(session);
    EXPECT_EQ(take(), (Texts{"b:2"}));
}

// The worst peer in this respect reuses an id that is still in flight after the wrap [MQTT-2.2.1-4],
// [MQTT-4.3.2-1], [MQTT-4.3.3-1], [MQTT-3.1.1:2.3.1-4].
TEST_F(SessionTest, SkipsAnIdThatIsStillInFlightAfterTheWrap) {
    Session session(0, {});
    session.attach(2, at(0), effects_);
    offer(session, "stuck");  // id 1, never acknowledged
    take();
    for (int i = 2; i <= 65535; ++i) {
        offer(session, "m");
        ASSERT_EQ(effects_.sends.back().packet_id, i);
        ASSERT_TRUE(session.on_puback(static_cast<wire::PacketId>(i), at(0), effects_).ok());
        effects_.clear();
    }
    offer(session, "wrapped");
    EXPECT_EQ(take(), (Texts{"wrapped:2"}));
    ASSERT_TRUE(session.on_puback(1, at(0), effects_).ok());
    ASSERT_TRUE(session.on_puback(2, at(0), effects_).ok());
    EXPECT_EQ(session.inflight_count(), 0U);
}

TEST_F(SessionTest, AStuckMessageDoesNotPinTheRecordsOfLaterOnes) {
    Session session(0, {});
    session.attach(3, at(0), effects_);
    offer(session, "stuck");
    for (int round = 0; round < 200'000; ++round) {
        effects_.clear();
        offer(session, "m");
        ASSERT_TRUE(session.on_puback(effects_.sends.back().packet_id, at(0), effects_).ok());
    }
    effects_.clear();
    session.detach();
    session.attach(3, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"stuck:1d"}));
}

TEST_F(SessionTest, FullQueueDropsTheOldest) {
    Session session(7, {.messages_max = 2, .when_full = WhenFull::drop_oldest});
    for (const char* p : {"a", "b", "c"}) EXPECT_EQ(offer(session, p), Session::Offered::sent);
    ASSERT_EQ(effects_.drops.size(), 1U);
    EXPECT_EQ(effects_.drops[0].row, 1U);
    EXPECT_EQ(effects_.settled.size(), 1U);
    take();
    session.attach(10, at(0), effects_);
    record(session);
    EXPECT_EQ(take(), (Texts{"b:1", "c:2"}));
}

TEST_F(SessionTest, FullQueueDropsTheNewestOrRejects) {
    Session newest(7, {.messages_max = 1, .when_full = WhenFull::drop_newest});
    offer(newest, "a");
    EXPECT_EQ(offer(newest, "b"), Session::Offered::dropped);
    Session reject(8, {.messages_max = 1, .when_full = WhenFull::reject});
    offer(reject, "a");
    EXPECT_EQ(offer(reject, "b"), Session::Offered::rejected);
    EXPECT_TRUE(effects_.settled.empty()) << "a row that was never given out must not be settled";
}

TEST_F(SessionTest, BytesBoundTheQueueToo) {
    const std::size_t one = message("0123456789")->body().size();
    Session session(0, {.bytes_max = 2 * one + 1});
    for (const char* p : {"0123456789", "1123456789", "2123456789"}) offer(session, p);
    EXPECT_EQ(session.queued_messages(), 2U);
}

TEST_F(SessionTest, ExpiredMessagesAreNotSent_MQTT_3_3_2_5) {
    Session session(7, {});
    offer(session, "short", QoS::at_least_once, 1);
    offer(session, "long", QoS::at_least_once, 100);
    effects_.clear();
    session.attach(10, at(5000), effects_);
    EXPECT_EQ(effects_.settled.size(), 1U);
    record(session);
    EXPECT_EQ(take(), (Texts{"long:1"}));
}

TEST_F(SessionTest, KeepsAWindowInMemoryAndReadsTheRestInOrder) {
    Session session(7, {.window_messages = 4});
    for (int i = 0; i < 20; ++i) offer(session, std::to_string(i));
    EXPECT_EQ(session.queued_messages(), 20U);
    take();
    session.attach(1, at(0), effects_);
    std::vector<std::string> seen;
    int loads = 0;
    while (true) {
        record(session);
        std::vector<wire::PacketId> ids;
        for (const Send& send : effects_.sends) {
            seen.emplace_back(as_text(send.message->payload()));
            ids.push_back(send.packet_id);
        }
        for (const SettleMessage& settled : effects_.settled) {
            std::erase_if(disk_, [&](const QueueEntry& e) { return e.row == settled.row; });
        }
        const bool load = effects_.load_wanted;
        effects_.clear();
        if (load) {
            ++loads;
            session.load_posted();
            std::vector<QueueEntry> window;
            bool more = false;
            for (const QueueEntry& e : disk_) {
                if (e.row <= session.load_after()) continue;
                if (window.size() == 4) {
                    more = true;
                    break;
                }
                window.push_back(e);
            }
            if (seen.size() == 7) offer(session, "new");  // while a window is on its way
            session.on_loaded(std::move(window), !more, at(0), effects_);
        }
        for (const auto id : ids) (void)session.on_puback(id, at(0), effects_);
        if (ids.empty() && !load) break;
    }
    ASSERT_GE(seen.size(), 20U);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], std::to_string(i));
    EXPECT_GT(loads, 3);
    EXPECT_EQ(session.backlog_messages(), 0U);
}

class SessionEndTest : public SessionTest {
  protected:
    void offer_shared(Session& session, std::string_view payload, QoS qos = QoS::at_least_once) {
        QueueEntry entry;
        entry.message = message(payload, qos);
        entry.qos = qos;
        entry.share = Share("$share/g/t");
        if (session.durable()) entry.row = ++row_;
        (void)session.offer(std::move(entry), effects_);
    }
    static Texts payloads(const Session::Leftovers& left) {
        Texts all;
        for (const QueueEntry& entry : left.to_others)
            all.push_back(std::string(as_text(entry.message->payload())) + " " +
                          std::string(entry.share.view()));
        return all;
    }
};

TEST_F(SessionEndTest, OthersGetWhatWasSharedAndNotAcknowledged) {
    Session session(0, {});
    session.attach(3, at(0), effects_);
    offer_shared(session, "acknowledged");
    offer_shared(session, "sent");
    offer(session, "mine alone");
    offer_shared(session, "waits");
    offer(session, "waits too");
    (void)session.on_puback(1, at(0), effects_);
    const auto left = session.give_up();
    EXPECT_EQ(payloads(left), (Texts{"sent $share/g/t", "waits $share/g/t"}));
    EXPECT_FALSE(left.behind);
}

// What was sent with QoS 2 may have arrived; what still waits has not.
TEST_F(SessionEndTest, NobodyElseGetsWhatWasSentWithQos2_MQTT_4_8_2_5) {
    Session session(0, {});
    session.attach(2, at(0), effects_);
    for (const char* payload : {"received", "sent", "waits"})
        offer_shared(session, payload, QoS::exactly_once);
    (void)session.on_pubrec(1, ReasonCode::success, at(0), effects_);
    EXPECT_EQ(payloads(session.give_up()), (Texts{"waits $share/g/t"}));
}

TEST_F(SessionEndTest, TellsWhatIsStillInTheStore) {
    Session session(7, {.window_messages = 2});
    for (const char* payload : {"1", "2", "3"}) offer_shared(session, payload);
    auto left = session.give_up();
    EXPECT_EQ(payloads(left), (Texts{"1 $share/g/t", "2 $share/g/t"}));
    EXPECT_TRUE(left.behind);
    EXPECT_EQ(session.load_after(), 2U);

    Session ordinary(8, {.window_messages = 2});
    for (const char* payload : {"1", "2", "3"}) offer(ordinary, payload);
    left = ordinary.give_up();
    EXPECT_TRUE(left.to_others.empty());
    EXPECT_FALSE(left.behind) << "nothing of it is shared";

    Session restored(9, {});
    SaveProgress progress;
    progress.outbound = {{.row = 5, .packet_id = 1},
                         {.row = 0, .packet_id = 2, .state = InflightRecord::State::released}};
    restored.restore(progress, 3, 100, true);
    left = restored.give_up();
    EXPECT_TRUE(left.behind);
    EXPECT_EQ(left.in_flight_behind, std::vector<RowId>{5});
    EXPECT_EQ(restored.load_after(), 0U);
}

TEST_F(SessionTest, AfterARestartRepeatsWhatWasInFlightWithItsIdsAndDup) {
    Session before(7, {});
    before.attach(3, at(0), effects_);
    for (const char* p : {"a", "b", "c", "d"}) offer(before, p, QoS::exactly_once);
    (void)before.on_pubrec(2, ReasonCode::success, at(0), effects_);
    before.on_publish_qos2(77);
    const SaveProgress progress = before.progress();
    std::erase_if(disk_, [](const QueueEntry& e) { return e.row == 2; });
    effects_.clear();

    Session after(7, {});
    after.restore(progress, disk_.size(), 1000, false);
    EXPECT_EQ(after.backlog_messages(), 3U + 1U) << "three on disk, and one released";
    after.attach(3, at(0), effects_);
    ASSERT_TRUE(effects_.load_wanted);
    EXPECT_TRUE(effects_.sends.empty());
    effects_.clear();
    after.load_posted();
    after.on_loaded({disk_.begin(), disk_.end()}, true, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"a:1d", "c:3d", "rel:2"})) << "as they were sent";
    EXPECT_FALSE(after.on_publish_qos2(77)) << "received before the restart";
    (void)after.on_pubcomp(2, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"d:4d"})) << "it had its id, and might have been sent";
}

TEST_F(SessionTest, InboundQoS2IsNewOnceUntilReleased_MQTT_4_3_3_10) {
    Session session(7, {});
    EXPECT_TRUE(session.on_publish_qos2(5));
    EXPECT_FALSE(session.on_publish_qos2(5));
    EXPECT_TRUE(session.on_pubrel(5));
    EXPECT_FALSE(session.on_pubrel(5));
    EXPECT_TRUE(session.on_publish_qos2(5));
}

TEST_F(SessionTest, RepeatsBothQoSInOneOrderWithoutWaitingForTheDisk_MQTT_4_6_0_1) {
    Session session(7, {});
    session.attach(10, at(0), effects_);
    offer(session, "a", QoS::exactly_once);
    offer(session, "b", QoS::at_least_once);
    offer(session, "c", QoS::exactly_once);
    take();
    session.detach();
    session.attach(10, at(0), effects_);
    for (const Send& send : effects_.sends) EXPECT_FALSE(send.after_commit) << text(send);
    EXPECT_EQ(take(), (Texts{"a:1d", "b:2d", "c:3d"}));
}

TEST_F(SessionTest, AnExpiryIntervalOfZeroHasNotPassedForWhomItCanBeSentToAtOnce_MQTT_3_3_2_5) {
    Session session(7, {});
    session.attach(1, at(0), effects_);
    offer(session, "now", QoS::at_least_once, 0);
    offer(session, "later", QoS::at_least_once, 0);
    offer(session, "end");
    EXPECT_EQ(take(), (Texts{"now:1"}));
    ASSERT_TRUE(session.on_puback(1, at(0), effects_).ok());
    EXPECT_EQ(take(), (Texts{"end:3"}));
}

TEST_F(SessionTest, WhatCannotBeSentCountsAsDone_MQTT_3_1_2_25) {
    Session session(7, {});
    session.attach(1, at(0), effects_);
    offer(session, "big");
    offer(session, "small");
    take();
    session.on_unsendable(1, at(0), effects_);
    EXPECT_EQ(effects_.settled.size(), 1U);
    EXPECT_EQ(take(), (Texts{"small:2"}));
}

}  // namespace
}  // namespace sluice::core
