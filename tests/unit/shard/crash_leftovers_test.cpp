// What nobody would repeat after a crash: wills, what an ended session leaves to others, what was retained.
#include "tests/unit/shard/exactly_once_fixture.hpp"

namespace sluice::shard::test {
namespace {

using wire::QoS;
using wire::ReasonCode;

constexpr std::size_t steps_max = 40;

class CrashLeftovers : public ExactlyOnce {
  protected:
    /// Its will is "lost", and what the broker does about it is still to come.
    Receivers begin_and_lose_device() {
        begin(2);
        Receivers receivers = make_receivers();
        Client& device = client("device", 0);
        device.connect(false, "lost");
        settle();
        device.disconnect();
        return receivers;
    }
    void expect_nothing_left() {
        settle();
        EXPECT_EQ(house_->notes_on_disk(), 0U);
        EXPECT_EQ(house_->nameless_sessions_on_disk(), 0U);
    }
};

TEST_F(CrashLeftovers, AWillComesOnceToAllShards_MQTT_3_1_2_8) {
    for (const auto order : orders) {
        for (const std::size_t shards : {2U, 1U, 3U}) {
            for (std::size_t steps = 0; steps < steps_max && !HasFailure(); ++steps) {
                SCOPED_TRACE(fmt::format("order {} steps {} then {} shards", order, steps, shards));
                const Receivers receivers = begin_and_lose_device();
                go(order, steps);
                crash(shards);
                all_come_back();
                receivers.expect_one_copy("lost");
                expect_nothing_left();
            }
        }
    }
}

TEST_F(CrashLeftovers, AWillComesOnceWhenTheRestartIsKilledToo) {
    for (std::size_t steps = 0; steps < 24; steps += 2) {
        for (std::size_t again = 0; again < 24 && !HasFailure(); again += 2) {
            SCOPED_TRACE(fmt::format("steps {} and {}", steps, again));
            const Receivers receivers = begin_and_lose_device();
            go("01c", steps);
            crash(2);
            go("0c1", again);
            crash(2);
            all_come_back();
            receivers.expect_one_copy("lost");
            expect_nothing_left();
        }
    }
}

// What waits for one member goes to the only other one, on the other shard.
TEST_F(CrashLeftovers, WhatAnEndedSessionLeavesIsHandedOnOnce_MQTT_4_8_2_4) {
    for (const auto order : orders) {
        for (std::size_t steps = 0; steps < steps_max && !HasFailure(); ++steps) {
            SCOPED_TRACE(fmt::format("order {} steps {}", order, steps));
            begin(2);
            Client& first = subscriber("first", 0, "$share/g/t", QoS::exactly_once, false);
            Client& publisher = client("publisher", 0);
            settle();
            publisher.publish(5, "m");
            publisher.publish(6, "n");
            settle();
            ASSERT_TRUE(publisher.all_acknowledged());
            Client& second = subscriber("second", 1, "$share/g/t", QoS::exactly_once, false);
            first.connect(true);
            go(order, steps);
            crash(2);
            for (const auto& one : clients_) one->connect(one.get() == &first);
            settle();
            EXPECT_EQ(second.copies("m"), 1U);
            EXPECT_EQ(second.copies("n"), 1U);
            expect_nothing_left();
        }
    }
}

// The member has no session on disk, so that its copy has no note, and leaves it to one that has.
class BriefMember : public CrashLeftovers {
  protected:
    /// "n" waits for the brief one, behind what that has not answered; then it goes.
    void lose_brief_member() {
        begin(2);
        publisher_ = &client("publisher", 0);
        second_ = &subscriber("second", 1, "$share/g/t", QoS::exactly_once, false);
        Client& brief = client("brief", 1);
        brief.be_brief();
        brief.connect(true);
        brief.subscribe("$share/g/t", QoS::exactly_once);
        settle();
        publisher_->publish(5, "m");
        publisher_->publish(6, "n");
        house_->step('0');
        house_->step('1');
        brief.disconnect();
    }
    Client* publisher_ = nullptr;
    Client* second_ = nullptr;
};

TEST_F(BriefMember, LeavesNothingThatComesTwice_MQTT_4_3_3_10) {
    for (const std::string_view order : {"1c", "11c", "10c", "01c", "1cc0"}) {
        for (std::size_t steps = 0; steps < 12 && !HasFailure(); ++steps) {
            SCOPED_TRACE(fmt::format("order {} steps {}", order, steps));
            lose_brief_member();
            go(order, steps);
            crash(2);
            publisher_->connect();
            second_->connect();
            settle();
            EXPECT_TRUE(publisher_->all_acknowledged());
            EXPECT_LE(second_->copies("n"), 1U);
        }
    }
}

TEST_F(BriefMember, LeavesItsQueueToOthersWhenItsPublishersHaveTheirAnswers_MQTT_4_8_2_4) {
    lose_brief_member();
    second_->connect();
    for (const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
         second_->copies("n") == 0 && std::chrono::steady_clock::now() < deadline;)
        settle();
    EXPECT_EQ(second_->copies("n"), 1U);
    EXPECT_EQ(second_->copies("m"), 0U) << "it had been sent";
}

// It was acknowledged: too late for 0x97.
TEST_F(CrashLeftovers, AFullQueueDoesNotRefuseWhatIsHandedOn) {
    for (const std::size_t shard : {0U, 1U}) {
        Limits limits;
        limits.queue_messages_max = 1;
        limits.queue_full = QueueFull::reject;
        begin(2, limits);
        Client& first = subscriber("first", 0, "$share/g/t", QoS::exactly_once, false);
        Client& publisher = client("publisher", 0);
        settle();
        publisher.publish(5, "m");
        settle();
        Client& second = subscriber("second", shard, "t", QoS::exactly_once, false);
        second.connect();
        second.subscribe("$share/g/t", QoS::exactly_once);
        settle();
        second.disconnect();
        publisher.publish(6, "fills both");
        settle();
        first.connect(true);
        settle();
        second.connect();
        settle();
        EXPECT_EQ(second.copies("m"), 1U) << shard;
    }
}

// The shared subscription gives the older message to a shard that does not get to it, and the newer one to
// another. Only the older one is repeated in full, and must not take the place of what was retained behind
// it.
TEST_F(CrashLeftovers, ARepetitionDoesNotRetainWhatANewerMessageHasReplaced_MQTT_3_3_1_5) {
    for (const std::string_view order : {"01c", "02c", "01cc", "02cc"}) {
        for (std::size_t steps = 0; steps < steps_max && !HasFailure(); ++steps) {
            SCOPED_TRACE(fmt::format("order {} steps {}", order, steps));
            begin(3);
            subscriber("one", 1, "$share/g/t", QoS::exactly_once, true);
            subscriber("two", 2, "$share/g/t", QoS::exactly_once, true);
            Client& publisher = client("publisher", 0);
            settle();
            publisher.publish(5, "older", true);
            publisher.publish(6, "newer", true);
            go(order, steps);
            crash(3);
            all_come_back();
            ASSERT_TRUE(publisher.all_acknowledged());
            EXPECT_EQ(as_text(house_->retained().find("t")->payload()), "newer");
            expect_nothing_left();
        }
    }
}

// It has taken its place in the queue of one receiver; the publisher does not hear that another was full.
TEST_F(CrashLeftovers, ARefusalThatWasNotHeardIsRepeated_MQTT_4_3_3_10) {
    Limits limits;
    limits.queue_messages_max = 1;
    limits.queue_full = QueueFull::reject;
    for (const auto order : orders) {
        for (std::size_t steps = 0; steps < 30 && !HasFailure(); ++steps) {
            SCOPED_TRACE(fmt::format("order {} steps {}", order, steps));
            begin(2, limits);
            Client& local = subscriber("local", 0, "t", QoS::exactly_once, true);
            Client& full = subscriber("full", 1, "t", QoS::exactly_once, false);
            Client& publisher = client("publisher", 0);
            settle();
            publisher.publish(4, "fills the queue");
            settle();
            publisher.publish(5, "refused");
            // The connection goes in the turn in which the answer would leave, or before it.
            for (std::size_t i = 0; i < steps; ++i) house_->step(order[i % order.size()]);
            if (publisher.attend()) break;  // heard
            publisher.disconnect();
            settle();
            full.connect();  // there is room now
            settle();
            publisher.connect();
            settle();
            EXPECT_TRUE(publisher.all_acknowledged());
            EXPECT_EQ(local.copies("refused"), 1U);
        }
    }
}

}  // namespace
}  // namespace sluice::shard::test
