// QoS 2 through several shards, each of which commits by itself: wherever the process is killed, and however
// the steps of the shards and of the disk are interleaved, each receiver has the message once when the
// publisher has ended its exchange.
#include "tests/unit/shard/exactly_once_fixture.hpp"

namespace sluice::shard::test {
namespace {

using wire::QoS;
using wire::ReasonCode;

/// More than any of the exchanges here takes.
constexpr std::size_t steps_max = 60;

class BridgeLink final : public Link {
  public:
    BridgeLink(LinkHost& host, LinkNumber number, std::map<std::string, std::size_t>& got)
        : host_(host), number_(number), got_(got) {}
    Delivered deliver(const core::Send& send) override {
        ++got_[std::string(as_text(send.message->payload()))];
        taken_.push_back(send.packet_id);
        return Delivered::taken;
    }
    void flush(Now) override {
        for (const auto id : std::exchange(taken_, {})) host_.confirm(number_, id);
    }
    void end(ReasonCode) override {}

  private:
    LinkHost& host_;
    const LinkNumber number_;
    std::map<std::string, std::size_t>& got_;
    std::vector<wire::PacketId> taken_;
};

class ExactlyOnceEverywhere : public ExactlyOnce {
  protected:
    /// `twice`: the repetition is cut off as well, after so many steps.
    void run(std::string_view order, std::size_t steps, std::size_t shards_after,
             std::optional<std::size_t> twice = {}) {
        SCOPED_TRACE(fmt::format("order {} killed after {} steps, {} shards afterwards, again after {}",
                                 order, steps, shards_after, twice.value_or(0)));
        begin(2);
        const Receivers receivers = make_receivers();
        Client& publisher = client("publisher", 0);
        settle();
        publisher.publish(5, "m");
        publisher.publish(6, "n");
        go(order, steps);
        crash(shards_after);
        if (twice) {
            for (const auto& one : clients_)
                if (one.get() != receivers.at_qos1) one->connect();
            go(order, *twice);
            crash(2);
        }
        all_come_back();
        EXPECT_TRUE(publisher.all_acknowledged());
        receivers.expect_one_copy("m");
        receivers.expect_one_copy("n");
        // The ids are free, and nothing that was noted for them is left.
        publisher.publish(5, "next");
        settle();
        crash(2);
        all_come_back();
        EXPECT_TRUE(publisher.all_acknowledged());
        receivers.expect_one_copy("next");
        EXPECT_EQ(house_->notes_on_disk(), 0U);
    }
};

TEST_F(ExactlyOnceEverywhere, WhereverTheProcessIsKilled) {
    for (const auto order : orders)
        for (std::size_t steps = 0; steps < steps_max && !HasFailure(); ++steps) run(order, steps, 2);
}

TEST_F(ExactlyOnceEverywhere, WithAnotherNumberOfShardsAfterwards) {
    for (const std::size_t shards : {1U, 3U})
        for (const auto order : {orders[0], orders[4]})
            for (std::size_t steps = 0; steps < steps_max && !HasFailure(); ++steps)
                run(order, steps, shards);
}

TEST_F(ExactlyOnceEverywhere, WhenTheRepetitionIsCutOffToo) {
    for (const auto order : {orders[0], orders[2]})
        for (const std::size_t shards : {2U, 3U})
            for (std::size_t steps = 1; steps < 24; steps += 3)
                for (std::size_t again = 0; again < 40 && !HasFailure(); again += 3)
                    run(order, steps, shards, again);
}

// The client is gone before it is answered. When it comes back to the same process it must not cause the
// message again; when the process is killed, nothing may be recorded that the other shard does not have.
TEST_F(ExactlyOnceEverywhere, WhenTheConnectionGoesInBetween) {
    for (const bool killed : {false, true}) {
        for (const auto order : orders) {
            for (std::size_t steps = 0; steps < steps_max && !HasFailure(); ++steps) {
                SCOPED_TRACE(
                    fmt::format("order {} {} steps, {}", order, steps, killed ? "killed" : "not killed"));
                begin(2);
                const Receivers receivers = make_receivers();
                Client& publisher = client("publisher", 0);
                settle();
                publisher.publish(5, "m");
                go(order, steps / 6);
                publisher.disconnect();
                go(order, steps % 6);
                if (steps % 2 == 1) {  // it repeats its message, but does not stay either
                    publisher.connect();
                    go(order, steps % 5);
                    publisher.disconnect();
                    go(order, steps % 3);
                }
                if (killed) crash(2);
                all_come_back();
                EXPECT_TRUE(publisher.all_acknowledged());
                receivers.expect_one_copy("m");
                EXPECT_EQ(house_->notes_on_disk(), 0U);
            }
        }
    }
}

/// Nobody of this name may read anything.
class RefusesOne final : public auth::Authorizer {
  public:
    bool allows(auth::Action action, std::string_view, std::string_view client_id,
                std::string_view) const override {
        return action != auth::Action::deliver || !client_id.starts_with("refused");
    }
};

// The shard that was picked has nobody who may have it: the copy goes on to a third one.
TEST_F(ExactlyOnce, ASharePassedOnIsNotedWhereItEnds) {
    for (const auto order : {"012c", "0122cc", "210c", "0c1c2c"}) {
        for (std::size_t steps = 0; steps < steps_max && !HasFailure(); ++steps) {
            SCOPED_TRACE(fmt::format("order {} killed after {} steps", order, steps));
            begin(3, {}, std::make_shared<RefusesOne>());
            subscriber("refused", 1, "$share/g/t", QoS::exactly_once, true);
            const Client& away = subscriber("away", 2, "$share/g/t", QoS::exactly_once, false);
            const Client& ordinary = subscriber("ordinary", 2, "t", QoS::exactly_once, false);
            Client& publisher = client("publisher", 0);
            settle();
            publisher.publish(5, "m");
            go(order, steps);
            crash(steps % 2 == 0 ? 3 : 2);
            all_come_back();
            EXPECT_TRUE(publisher.all_acknowledged());
            EXPECT_EQ(away.copies("m"), 1U);
            EXPECT_EQ(ordinary.copies("m"), 1U);
        }
    }
}

class ExactlyOnceUpstream : public ExactlyOnce {
  protected:
    /// As a bridge does at its start: a lane for each shard, and one for each spool of earlier times, which
    /// nothing new enters.
    void add_lanes(std::size_t shards, std::size_t spools) {
        lanes_ = 0;
        for (std::size_t spool = 0; spool < std::max(shards, spools); ++spool) {
            LinkSpec spec;
            spec.number = ++lanes_;
            spec.client_id = fmt::format("$bridge/plant/0/{}", spool);
            core::SubscriptionOptions options;
            options.qos = QoS::at_least_once;
            options.local_only = options.at_least_once = true;
            if (spool < shards) spec.subscriptions.push_back({"t", options});
            spec.ack_upstream = true;
            spec.make = [this, number = spec.number](LinkHost& host) {
                return std::make_unique<BridgeLink>(host, number, got_);
            };
            house_->shard(spool % shards).post_link(std::move(spec));
        }
        settle();
    }
    void come_up(std::size_t shards) {
        for (LinkNumber number = 1; number <= lanes_; ++number)
            house_->shard((number - 1) % shards).attach_link(number, 10);
        settle();
    }
    LinkNumber lanes_ = 0;
    std::map<std::string, std::size_t> got_;
};

// Each shard has a lane for what enters there; after a restart the message may enter elsewhere.
TEST_F(ExactlyOnceUpstream, ARouteHasItOnceWhicheverOfItsLanesTookIt) {
    for (const std::size_t shards_after : {1U, 2U, 3U}) {
        for (std::size_t steps = 0; steps < 30 && !HasFailure(); ++steps) {
            SCOPED_TRACE(fmt::format("{} shards afterwards, {} steps", shards_after, steps));
            begin(2);
            got_.clear();
            add_lanes(2, 2);
            const Client& remote = subscriber("remote", 0, "t", QoS::exactly_once, false);
            Client& publisher = client("publisher", 1);
            settle();
            publisher.publish(5, "m");
            go("10c", steps);
            crash(shards_after);
            add_lanes(shards_after, 2);
            all_come_back();
            EXPECT_EQ(got_["m"], 0U) << "the upstream is not there yet";
            come_up(shards_after);
            EXPECT_TRUE(publisher.all_acknowledged());
            EXPECT_EQ(remote.copies("m"), 1U);
            EXPECT_EQ(got_["m"], 1U);
            EXPECT_EQ(house_->notes_on_disk(), 0U);
        }
    }
}

}  // namespace
}  // namespace sluice::shard::test
