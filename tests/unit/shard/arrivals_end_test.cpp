// How the packet id of a QoS 2 message ends that some receivers have and some not: whatever was noted for it
// must not touch the next message under this id.
#include "tests/unit/shard/exactly_once_fixture.hpp"

namespace sluice::shard::test {
namespace {

using wire::QoS;
using wire::ReasonCode;

/// More than any of the exchanges here takes.
constexpr std::size_t steps_max = 60;

class ArrivalsEnd : public ExactlyOnce {};

// [MQTT-4.3.3-12]. The client has lost its memory; and the process is killed once more before it has learnt
// that.
TEST_F(ArrivalsEnd, AnotherMessageUnderTheIdIsNoRepetition_MQTT_4_3_3_12) {
    for (std::size_t steps = 0; steps < steps_max && !HasFailure(); ++steps) {
        SCOPED_TRACE(steps);
        begin(2);
        const Client& local = subscriber("local", 0, "t", QoS::exactly_once, false);
        const Client& remote = subscriber("remote", 1, "t", QoS::exactly_once, false);
        Client& publisher = client("publisher", 0);
        settle();
        publisher.publish(5, "given up");
        go("01c", 6);  // both have it, nothing is recorded
        crash(2);
        publisher.give_up(5);
        publisher.connect();
        publisher.publish(5, "new");
        go("01c", steps);
        crash(2);
        all_come_back();
        EXPECT_TRUE(publisher.all_acknowledged());
        EXPECT_EQ(local.copies("given up"), 1U);
        EXPECT_EQ(remote.copies("given up"), 1U);
        EXPECT_EQ(local.copies("new"), 1U);
        EXPECT_EQ(remote.copies("new"), 1U);
    }
}

TEST_F(ArrivalsEnd, ACleanStartForgetsWhatHadArrived) {
    begin(2);
    const Client& local = subscriber("local", 0, "t", QoS::exactly_once, false);
    const Client& remote = subscriber("remote", 1, "t", QoS::exactly_once, false);
    Client& publisher = client("publisher", 0);
    settle();
    publisher.publish(5, "old");
    go("01c", 6);
    crash(2);
    publisher.connect(true);
    settle();
    publisher.publish(5, "new");
    settle();
    crash(2);
    all_come_back();
    for (const Client* one : {&local, &remote}) {
        EXPECT_EQ(one->copies("old"), 1U);
        EXPECT_EQ(one->copies("new"), 1U);
    }
}

// One shard refuses it, the others have it: the id ends with PUBREC 0x97, and with it what was noted.
TEST_F(ArrivalsEnd, ARefusedIdIsFreeAlsoAfterACrash_MQTT_4_3_3_9) {
    Limits limits;
    limits.queue_messages_max = 1;
    limits.queue_full = QueueFull::reject;
    for (const bool leaves : {false, true}) {
        for (std::size_t steps = 0; steps < 30 && !HasFailure(); ++steps) {
            SCOPED_TRACE(fmt::format("{} steps {}", leaves ? "leaves" : "stays", steps));
            begin(2, limits);
            Client& local = subscriber("local", 0, "t", QoS::exactly_once, true);
            Client& full = subscriber("full", 1, "t", QoS::exactly_once, false);
            Client& publisher = client("publisher", 0);
            settle();
            publisher.publish(4, "fills the queue");
            settle();
            ASSERT_EQ(publisher.last_code(), ReasonCode::success);
            publisher.publish(5, "refused");
            if (leaves) {
                go("01c", 1);
                publisher.disconnect();
                settle();
                publisher.connect();
            }
            settle();
            EXPECT_EQ(publisher.last_code(), ReasonCode::quota_exceeded);
            EXPECT_TRUE(publisher.all_acknowledged());
            EXPECT_EQ(local.copies("refused"), 1U);
            full.connect();
            settle();
            publisher.publish(5, "another");
            go("01c", steps);
            crash(2);
            all_come_back();
            EXPECT_TRUE(publisher.all_acknowledged());
            EXPECT_EQ(local.copies("another"), 1U);
            EXPECT_EQ(full.copies("another"), 1U);
            EXPECT_EQ(full.copies("refused"), 0U);
        }
    }
}

/// Nobody may publish any more, once it says so.
class MayForbid final : public auth::Authorizer {
  public:
    bool allows(auth::Action action, std::string_view, std::string_view, std::string_view) const override {
        return action != auth::Action::publish || !forbids;
    }
    bool forbids = false;
};

TEST_F(ArrivalsEnd, ARepetitionThatIsForbiddenNowFreesTheId) {
    const auto authorizer = std::make_shared<MayForbid>();
    begin(2, {}, authorizer);
    subscriber("remote", 1, "t", QoS::exactly_once, false);
    Client& publisher = client("publisher", 0);
    settle();
    publisher.publish(5, "m");
    go("01c", 6);
    crash(2);
    ASSERT_EQ(house_->notes_on_disk(), 1U);
    authorizer->forbids = true;
    publisher.connect();
    go("0", 3);
    EXPECT_EQ(publisher.last_code(), ReasonCode::success) << "not before the disk has forgotten it";
    settle();
    EXPECT_EQ(publisher.last_code(), ReasonCode::not_authorized);
    EXPECT_EQ(house_->notes_on_disk(), 0U);
}

// A client may know more than the disk in mode "interval".
TEST_F(ArrivalsEnd, APubrelForAnIdThatIsNotRecordedFreesIt) {
    begin(2);
    subscriber("remote", 1, "t", QoS::exactly_once, false);
    Client& publisher = client("publisher", 0);
    settle();
    publisher.publish(5, "m");
    go("01c", 6);
    crash(2);
    publisher.take_as_received(5);
    publisher.connect();
    settle();
    EXPECT_TRUE(publisher.all_acknowledged());
    EXPECT_EQ(house_->notes_on_disk(), 0U);
}

}  // namespace
}  // namespace sluice::shard::test
