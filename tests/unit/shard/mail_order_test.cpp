// What a client has had an answer to has taken effect on the other shards before another client, who was told
// of it, asks them.
#include <atomic>

#include "tests/unit/shard/shard_fixture.hpp"

namespace sluice::shard::test {
namespace {

using wire::PacketType;
using wire::QoS;

/// A shard on its own thread, and a box in the place of a second one.
class OneOfTwoShards {
  public:
    explicit OneOfTwoShards(std::function<void()> wake_other) : other_(std::move(wake_other)) {
        shard_ = std::make_unique<Shard>(
            0, SharedParts{&store_, &retained_, auth::make_allow_all_authorizer(), Limits{}, nullptr});
        store_.shard = shard_.get();
        other_interest_.add("#");
        shard_->set_peers({shard_->as_peer(), {&other_, &other_interest_}});
        thread_ = std::thread([this] { shard_->run(); });
    }
    ~OneOfTwoShards() {
        shard_->post_stop();
        thread_.join();
    }
    Shard& operator*() { return *shard_; }
    core::RetainedIndex& retained() { return retained_; }

  private:
    InstantStore store_;
    core::RetainedIndex retained_{1000};
    Mailbox other_;
    Interest other_interest_;
    std::unique_ptr<Shard> shard_;
    std::thread thread_;
};

/// Calls `deliver_` in the turn in which a message comes its way.
class CallingLink final : public Link {
  public:
    explicit CallingLink(std::function<void()> deliver) : deliver_(std::move(deliver)) {}
    Delivered deliver(const core::Send&) override {
        deliver_();
        return Delivered::taken;
    }
    void flush(Now) override {}
    void end(wire::ReasonCode) override {}

  private:
    std::function<void()> deliver_;
};

ByteBuffer published_and(std::string_view topic, const std::function<void(ByteBuffer&)>& more) {
    ByteBuffer out;
    wire::encode_publish(out, wire::Version::v5, {.topic = topic, .payload = as_bytes("x")});
    more(out);
    return out;
}

TEST(MailOrder, MailIsThereBeforeTheClientIsAnswered) {
    std::atomic<Peer*> publisher{nullptr};
    std::atomic<int> answered_first{-1};
    OneOfTwoShards shard([&] {
        if (Peer* peer = publisher) answered_first = peer->has_input() ? 1 : 0;
    });
    Peer peer(*shard, "publisher");
    publisher = &peer;
    ASSERT_TRUE(peer.send(published_and("t", [](ByteBuffer& out) { wire::encode_pingreq(out); })));
    EXPECT_EQ(peer.next(), PacketType::pingresp);
    ASSERT_TRUE(wait_for([&] { return answered_first >= 0; }));
    EXPECT_EQ(answered_first, 0);
}

// The subscriber asks when its shard's copy of the retained message is known and the live one still lies in
// the mail.
TEST(MailOrder, ANewSubscriptionGetsNoLiveCopyOfWhatIsRetained) {
    OneOfTwoShards shard([] {});
    const auto message = core::Message::freeze({.topic = "t", .payload = as_bytes("R"), .retain = true});
    LinkSpec spec;
    spec.number = 1;
    spec.client_id = "$bridge/plant/0/0";
    spec.subscriptions.push_back({"up/#", {}});
    spec.make = [&](LinkHost& host) {
        host.attach_link(1, 10);
        return std::make_unique<CallingLink>([&] {
            shard.retained().set(message);
            (*shard).mailbox().post(mail::Deliver{message, {}});
        });
    };
    (*shard).post_link(std::move(spec));
    Peer peer(*shard, "subscriber");
    ASSERT_TRUE(peer.send(published_and("up/1", [](ByteBuffer& out) {
        wire::Subscribe packet;
        packet.packet_id = 1;
        packet.entries.push_back({.filter = "t", .qos = QoS::at_most_once});
        wire::encode_subscribe(out, wire::Version::v5, packet);
    })));
    EXPECT_EQ(peer.next(), PacketType::suback);
    EXPECT_EQ(peer.next([](const wire::Frame& frame) { EXPECT_EQ(frame.flags & 1, 1) << "RETAIN"; }),
              PacketType::publish);
    ByteBuffer ping;
    wire::encode_pingreq(ping);
    ASSERT_TRUE(peer.send(ping));
    EXPECT_EQ(peer.next(), PacketType::pingresp);
}

}  // namespace
}  // namespace sluice::shard::test
