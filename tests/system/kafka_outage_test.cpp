/// What can go wrong between broker and Kafka alone; what can with every upstream is in outage_test.cpp.
#include "tests/contract/kafka_node_peer.hpp"
#include "tests/contract/kafka_records.hpp"
#include "tests/system/outage_fixture.hpp"

namespace sluice::test {
namespace {

using bridge::test::KafkaNodePeer;
using bridge::test::KafkaRecord;

class KafkaOutage : public OutageFixture {
  protected:
    void SetUp() override {
        use("kafka_real");
        node_ = static_cast<KafkaNodePeer*>(peer_);
    }
    KafkaNodePeer* node_ = nullptr;
};

TEST_F(KafkaOutage, a_message_larger_than_its_topic_takes_holds_nothing_up) {
    node_->ask("config " + place_ + " max.message.bytes=100000");
    start_broker();
    MqttClient large;
    ASSERT_TRUE(large.connect(broker_.port(), {.client_id = "large"}));
    static constexpr unsigned count = 5;
    under_load([&] {
        for (unsigned i = 1; i <= count; ++i) {
            large.publish("plant/large", std::string(150000, 'x'), wire::QoS::at_least_once,
                          static_cast<wire::PacketId>(i));
            EXPECT_TRUE(large.receive()) << "the message is ours until Kafka has refused it";
        }
        EXPECT_TRUE(wait_for_bridge(broker_, [](const json& s) { return s.value("refused", 0U) >= count; }))
            << bridge_status(broker_).dump();
    });
    for (LoadPublisher& publisher : publishers_) EXPECT_TRUE(publisher.finish(MqttClient::patience));
    EXPECT_TRUE(wait_spool_below(count + 1)) << "only what was refused may still be here";
    EXPECT_FALSE(expect_everything_arrived().contains("large"));
}

TEST_F(KafkaOutage, partitions_are_added_under_load) {
    start_broker();
    publish_for(Milliseconds(300));
    constexpr int before = 2;
    under_load([&] {
        node_->ask("partitions " + place_ + " 6");
        // Until the producer has seen them: keys move, to the partitions that murmur2 gives them now.
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        bool moved = false;
        while (!moved && std::chrono::steady_clock::now() < deadline)
            for (const KafkaRecord& record : bridge::test::read_topic(node_->address(), place_, 1))
                moved |= record.partition >= before;
        EXPECT_TRUE(moved);
    });
    finish();
    expect_everything_arrived();
}

}  // namespace
}  // namespace sluice::test
