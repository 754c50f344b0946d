// The order of what is repeated on a new connection, also after a restart.
#include "tests/unit/core/session_fixture.hpp"

namespace sluice::core {
namespace {

TEST_F(SessionTest, RepeatsPubrelsAsThePubrecsCame_MQTT_4_6_0_4) {
    Session session(7, {});
    session.attach(10, at(0), effects_);
    for (const char* p : {"a", "b", "c"}) offer(session, p, QoS::exactly_once);
    for (const auto id : std::initializer_list<wire::PacketId>{3, 1})
        (void)session.on_pubrec(id, ReasonCode::success, at(0), effects_);
    offer(session, "d", QoS::exactly_once);
    EXPECT_EQ(take(), (Texts{"a:1", "b:2", "c:3", "rel:3", "rel:1", "d:4"}));
    (void)session.on_pubrec(3, ReasonCode::success, at(0),
                            effects_);  // once more: its place is the first one
    EXPECT_EQ(take(), Texts{"rel:3"});
    const Texts in_order{"b:2d", "rel:3", "rel:1", "d:4d"};
    for (int i = 0; i < 2; ++i) {
        session.detach();
        session.attach(10, at(0), effects_);
        EXPECT_EQ(take(), in_order);
    }
    const SaveProgress progress = session.progress();
    std::erase_if(disk_, [](const QueueEntry& e) { return e.row == 1 || e.row == 3; });
    Session after(7, {});
    after.restore(progress, disk_.size(), 1000, false);
    EXPECT_EQ(after.progress().outbound, progress.outbound);
    after.attach(10, at(0), effects_);
    after.load_posted();
    after.on_loaded({disk_.begin(), disk_.end()}, true, at(0), effects_);
    EXPECT_EQ(take(), in_order);
    for (const auto id : std::initializer_list<wire::PacketId>{1, 3})
        EXPECT_TRUE(after.on_pubcomp(id, at(0), effects_).ok()) << id;
    offer(after, "e");
    EXPECT_EQ(take(), Texts{"e:5"});
}

TEST_F(SessionTest, AfterARestartIdsGoOnBehindTheLastOneAlsoAcrossTheWrap) {
    SaveProgress progress{.session = 7, .outbound = {}, .inbound_released = {}};
    const auto published = InflightRecord::State::published, released = InflightRecord::State::released;
    progress.outbound = {{0, 3, released},
                         {11, 65534, published},
                         {0, 65535, released},
                         {12, 1, published},
                         {0, 65533, released}};
    Session session(7, {});
    session.restore(progress, 2, 100, false);
    EXPECT_EQ(session.progress().outbound, progress.outbound);
    for (const auto id : std::initializer_list<wire::PacketId>{65533, 65535})
        EXPECT_TRUE(session.on_pubcomp(id, at(0), effects_).ok()) << id;
    session.attach(10, at(0), effects_);
    session.load_posted();
    std::vector<QueueEntry> window;
    for (const RowId row : {11U, 12U}) window.push_back({.row = row, .message = message("m")});
    session.on_loaded(std::move(window), true, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"rel:3", "m:65534d", "m:1d"}));
    row_ = 12;
    offer(session, "n");
    offer(session, "o");
    EXPECT_EQ(take(), (Texts{"n:2", "o:4"})) << "3 is still in flight";
}

TEST_F(SessionTest, HeldOnesAreRepeatedInTheirOrder) {
    Session session(7, {});
    session.attach(10, at(0), effects_);
    for (const char* p : {"a", "b", "c", "d"}) offer(session, p);
    session.detach();
    take();
    session.attach(1, at(0), effects_);
    EXPECT_EQ(take(), Texts{"a:1d"});
    for (const auto id : std::initializer_list<wire::PacketId>{1, 2, 3})
        (void)session.on_puback(id, at(0), effects_);
    EXPECT_EQ(take(), (Texts{"b:2d", "c:3d", "d:4d"}));
}

TEST_F(SessionTest, AnUnknownPubrecIsAnsweredInItsTurn_MQTT_4_6_0_4) {
    Session session(7, {});
    session.attach(10, at(0), effects_);
    offer(session, "a", QoS::exactly_once);
    take();
    (void)session.on_pubrec(1, ReasonCode::success, at(0), effects_);
    EXPECT_FALSE(session.on_pubrec(99, ReasonCode::success, at(0), effects_).ok());
    EXPECT_FALSE(session.on_pubrec(98, ReasonCode::unspecified_error, at(0), effects_).ok());
    ASSERT_EQ(effects_.sends.size(), 2U);
    EXPECT_EQ(effects_.sends[1].code, ReasonCode::packet_identifier_not_found);
    EXPECT_EQ(effects_.sends[0].after_commit, effects_.sends[1].after_commit);
    EXPECT_EQ(take(), (Texts{"rel:1", "rel:99"}));
}

}  // namespace
}  // namespace sluice::core
