// A client that is read more slowly than it sends: it loses nothing, whatever it does next.
#include <gtest/gtest.h>

#include "tests/unit/shard/shard_fixture.hpp"

namespace sluice::shard::test {
namespace {

/// Publishes on "t", of `packet_bytes` each, and a DISCONNECT.
ByteBuffer publishes_and_goodbye(int count, std::size_t packet_bytes) {
    constexpr std::size_t head_bytes = 6;
    const std::string payload(packet_bytes - head_bytes, 'x');
    ByteBuffer out;
    for (int i = 0; i < count; ++i)
        wire::encode_publish(out, wire::Version::v5, {.topic = "t", .payload = as_bytes(payload)});
    wire::encode_disconnect(out, wire::Version::v5, {});
    return out;
}

void with_will(Admission& admission) {
    admission.will = AdmittedWill{.message = core::Message::freeze({.topic = "will"})};
}

std::string next_topic(Peer& peer) {
    std::string topic;
    peer.next([&](const wire::Frame& frame) {
        ByteBuffer scratch;
        const auto packet = wire::decode_publish(wire::Version::v5, frame.flags, frame.body, scratch);
        if (packet) topic = packet->topic;
    });
    return topic;
}

class HeldClient : public testing::Test {
  protected:
    /// All `count` publishes come, and then nothing: the will was taken back [MQTT-3.14.4-3].
    void expect_all_and_no_will(int count) {
        for (int i = 0; i < count; ++i) ASSERT_EQ(next_topic(watcher_), "t") << i;
        ASSERT_TRUE(wait_for([&] { return shard_.counters().connections.get() == 1; }));
        ASSERT_TRUE(watcher_.publish("last", ""));
        EXPECT_EQ(next_topic(watcher_), "last");
        EXPECT_GT(shard_.counters().publishers_paced.get(), 0U);
    }
    static Limits limits() {
        Limits limits;
        limits.publish_rate_max = 10;
        return limits;
    }
    RunningShard shard_{limits()};
    Peer watcher_{*shard_, "watcher"};
};

TEST_F(HeldClient, LosesNothingWhenItHasGone) {
    watcher_.subscribe("#", wire::QoS::at_most_once);
    const Peer client(*shard_, "client", with_will, publishes_and_goodbye(30, 16));
    expect_all_and_no_will(30);
}

// As many bytes as a first read takes, so that the next finds the end while these are not yet looked at.
TEST_F(HeldClient, LosesNothingWhenItsEndCameWithIt) {
    constexpr std::size_t first_read_bytes = 128;
    watcher_.subscribe("#", wire::QoS::at_most_once);
    const ByteBuffer all = publishes_and_goodbye(21, 6);
    ASSERT_EQ(all.size(), first_read_bytes);
    const Peer client(*shard_, "client", with_will, all);
    expect_all_and_no_will(21);
}

// Much more than is read at once, so that the end stands far behind in the socket.
TEST_F(HeldClient, IsNotKeptAliveByWhatIsUnread) {
    watcher_.subscribe("#", wire::QoS::at_most_once);
    Peer client(*shard_, "client", with_will);
    const ByteBuffer all = publishes_and_goodbye(30'000, 16);
    std::size_t sent = 0;
    ASSERT_TRUE(wait_for([&] {
        const std::size_t more = client.send_some(all, sent);
        sent += more;
        return more == 0 && sent > 100'000;
    })) << "never held";
    client.end_sending();
    // At 10 per second it would be here for an hour.
    EXPECT_TRUE(wait_for([&] { return shard_.counters().connections.get() == 1; }));
    EXPECT_GE(shard_.counters().publishes_received[0].get(), sent / 16 - 1) << "what it had sent is not lost";
}

}  // namespace
}  // namespace sluice::shard::test
