/// What comes down by the kafka connector, and when its offset is committed.
#include <thread>

#include "tests/contract/kafka_down_fixture.hpp"

namespace sluice::bridge::test {
namespace {

class KafkaDown : public KafkaDownFixture {};
INSTANTIATE_TEST_SUITE_P(peers, KafkaDown, ::testing::Values("kafka", "kafka_real"),
                         [](const auto& parameter) { return parameter.param; });

TEST_P(KafkaDown, a_record_is_taken_apart) {
    NewRecord record{"open", 0, "valve-7", {}};
    record.headers = {{"mqtt.topic", "plant/7/valve"},
                      {"mqtt.qos", "2"},
                      {"mqtt.retain", "true"},
                      {"mqtt.client_id", "panel"},
                      {"sluice.origin", "gateway-2"},
                      {"sluice.id", "x-1"},
                      {"content-type", "text/plain"},
                      {"response-topic", "answers"},
                      {"correlation-data", std::string("\xff\x00\x01", 3)},
                      {"payload-format-indicator", "1"},
                      {"message-expiry-interval", "3600"},
                      {"b", "2"},
                      {"a", std::nullopt},
                      {"b", "3"}};
    write_topic(
        peer_->address(), place_,
        {record, {std::nullopt, 0, "gone", {{"mqtt.qos", "many"}, {"message-expiry-interval", "-1"}}}});
    start_receiving();
    ASSERT_TRUE(feeder_.wait_incoming(2));
    const Incoming got = incoming(0);
    EXPECT_EQ(got.route, 0U);
    EXPECT_EQ(got.source, place_);
    EXPECT_EQ(got.key, "valve-7");
    EXPECT_EQ(got.payload, "open");
    EXPECT_EQ(got.mqtt_topic, "plant/7/valve");
    EXPECT_EQ(got.origin, "gateway-2");
    EXPECT_EQ(got.qos, wire::QoS::exactly_once);
    EXPECT_TRUE(got.retain);
    EXPECT_EQ(got.content_type, "text/plain");
    EXPECT_EQ(got.response_topic, "answers");
    EXPECT_EQ(got.correlation_data, std::string("\xff\x00\x01", 3));
    EXPECT_EQ(got.payload_is_text, true);
    EXPECT_EQ(got.expiry_interval_s, 3600U) << "of a gateway's record: what was left when it was sent";
    const std::vector<std::pair<std::string, std::string>> headers{
        {"mqtt.client_id", "panel"}, {"sluice.id", "x-1"}, {"b", "2"}, {"a", ""}, {"b", "3"}};
    EXPECT_EQ(got.headers, headers);

    const Incoming tombstone = incoming(1);
    EXPECT_EQ(tombstone.key, "gone");
    EXPECT_EQ(tombstone.payload, "");
    EXPECT_EQ(tombstone.mqtt_topic, "");
    EXPECT_FALSE(tombstone.qos);
    EXPECT_FALSE(tombstone.retain);
    EXPECT_FALSE(tombstone.expiry_interval_s);
    const std::vector<std::pair<std::string, std::string>> strange{{"mqtt.qos", "many"},
                                                                   {"message-expiry-interval", "-1"}};
    EXPECT_EQ(tombstone.headers, strange) << "what we do not understand is not thrown away";
}

TEST_P(KafkaDown, the_time_in_kafka_counts_against_the_expiry_of_a_foreign_record) {
    const auto with_interval = [](const char* interval) {
        return NewRecord{"x", 0, {}, {{"message-expiry-interval", interval}}, 100};
    };
    write_topic(peer_->address(), place_, {with_interval("3600"), with_interval("60")});
    start_receiving();
    ASSERT_TRUE(feeder_.wait_incoming(2));
    ASSERT_TRUE(incoming(0).expiry_interval_s);
    EXPECT_LE(*incoming(0).expiry_interval_s, 3500U);
    EXPECT_GT(*incoming(0).expiry_interval_s, 3400U);
    EXPECT_EQ(incoming(1).expiry_interval_s, 0U);
}

TEST_P(KafkaDown, what_was_not_settled_comes_again_and_what_was_does_not) {
    write({"1", "2", "3"});
    start_receiving();
    ASSERT_TRUE(feeder_.wait_incoming(3));
    EXPECT_EQ(payloads(), (Strings{"1", "2", "3"}));
    settle(0);
    ASSERT_TRUE(wait_committed_offset(1)) << committed();
    restart();
    ASSERT_TRUE(feeder_.wait_incoming(2));
    EXPECT_EQ(payloads(), (Strings{"2", "3"}));
    settle_all();
    restart();  // what is settled when it stops is committed by then
    EXPECT_EQ(committed(), 3);
    write({"4"});
    ASSERT_TRUE(feeder_.wait_incoming(1));
    EXPECT_EQ(payloads(), Strings{"4"});
}

TEST_P(KafkaDown, the_offset_waits_for_the_oldest_that_is_not_settled) {
    write({"1", "2", "3", "4"});
    start_receiving();
    ASSERT_TRUE(feeder_.wait_incoming(4));
    settle(1);
    settle(2, /*kept=*/false);
    settle(3);
    settle(3);                                    // known no more
    connector_->settle({{1'000'000, true, ""}});  // never known
    stop();
    EXPECT_EQ(committed(), 0);
    start_receiving();
    ASSERT_TRUE(feeder_.wait_incoming(4));
    EXPECT_EQ(payloads(), (Strings{"1", "2", "3", "4"}));
    settle(2);
    settle(0);
    ASSERT_TRUE(wait_committed_offset(1));
    settle(1, /*kept=*/false);
    ASSERT_TRUE(wait_committed_offset(3)) << "what cannot be used is passed over";
}

TEST_P(KafkaDown, a_stop_waits_for_what_is_about_to_be_settled) {
    write({"1"});
    start_receiving();
    ASSERT_TRUE(feeder_.wait_incoming(1));
    const auto token = incoming(0).token;
    std::thread later([&] {
        std::this_thread::sleep_for(milliseconds(300));
        connector_->settle({{token, true, ""}});
    });
    stop(milliseconds(10'000));
    later.join();
    EXPECT_EQ(committed(), 1);
}

TEST_P(KafkaDown, no_more_are_unsettled_than_may_be) {
    settings_.spec.down_inflight_max = 3;
    Strings all;
    for (int i = 0; i < 40; ++i) all.push_back(std::to_string(i));
    write(all);
    start_receiving();
    for (std::size_t settled = 0; settled < all.size(); ++settled) {
        // Half of them must be settled before a paused partition goes on.
        ASSERT_TRUE(feeder_.wait_incoming(std::min(settled + 1, all.size())));
        EXPECT_LE(feeder_.read([&] { return feeder_.incoming_.size(); }), settled + 3);
        settle(settled);
    }
    EXPECT_EQ(payloads(), all);
    ASSERT_TRUE(wait_committed_offset(40));
}

TEST_P(KafkaDown, each_partition_keeps_its_order) {
    Strings even, odd;
    for (int i = 0; i < 500; ++i) (i % 2 ? odd : even).push_back(std::to_string(i));
    write(even, 0);
    write(odd, 1);
    settings_.spec.down_inflight_max = 100;
    start_receiving();
    for (std::size_t settled = 0; settled < 500; ++settled) {
        ASSERT_TRUE(feeder_.wait_incoming(settled + 1));
        settle(settled);
    }
    Strings got_even, got_odd;
    for (const auto& payload : payloads()) (std::stoi(payload) % 2 ? got_odd : got_even).push_back(payload);
    EXPECT_EQ(got_even, even);
    EXPECT_EQ(got_odd, odd);
}

TEST_P(KafkaDown, latest_skips_what_is_there_and_nothing_that_comes_later) {
    settings_.down("start", latest);
    write({"old"}, 0);
    write({"old"}, 1);
    start_receiving();
    stop();
    write({"while it was stopped"});
    start_receiving();
    write({"now"}, 1);
    ASSERT_TRUE(feeder_.wait_incoming(2));
    auto got = payloads();
    std::sort(got.begin(), got.end());
    EXPECT_EQ(got, (Strings{"now", "while it was stopped"}));
}

TEST_P(KafkaDown, after_an_outage_what_was_unsettled_comes_again_and_what_was_settled_does_not) {
    write({"1", "2"});
    start_receiving();
    peer_->settle();
    ASSERT_TRUE(feeder_.wait_incoming(2));
    peer_->down();
    settle(0);  // it cannot be committed now
    ASSERT_TRUE(feeder_.wait([&] { return !feeder_.sources_.back().empty(); }));
    EXPECT_TRUE(feeder_.wait_down());
    peer_->up();
    ASSERT_TRUE(feeder_.wait_source()) << last_source();
    ASSERT_TRUE(feeder_.wait_incoming(3));
    EXPECT_EQ(payloads(), (Strings{"1", "2", "2"}));
    EXPECT_NE(incoming(2).token, incoming(1).token);
    settle(1);  // void: no answer to what has come since
    settle(2);
    write({"3"});
    ASSERT_TRUE(feeder_.wait_incoming(4));
    settle(3);
    ASSERT_TRUE(wait_committed_offset(3));
}

TEST_P(KafkaDown, a_bridge_without_a_way_up_tells_its_state) {
    start();
    ASSERT_TRUE(feeder_.wait_up()) << last_down();
    ASSERT_TRUE(feeder_.wait_source()) << last_source();
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U);
}

TEST_P(KafkaDown, a_cluster_out_of_reach_is_told) {
    const std::string name = peer_->configure_unreachable(settings_);
    start();
    ASSERT_TRUE(wait_source_problem(name)) << last_source();
    ASSERT_TRUE(feeder_.wait_down());
    EXPECT_NE(last_down().find(name), std::string::npos) << last_down();
}

TEST_P(KafkaDown, stop_returns_in_time_while_the_cluster_is_frozen) {
    write({"1"});
    start_receiving();
    ASSERT_TRUE(feeder_.wait_incoming(1));
    settle(0);
    peer_->freeze();
    const auto begin = std::chrono::steady_clock::now();
    connector_->stop(milliseconds(100));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
    peer_->thaw();
}

}  // namespace
}  // namespace sluice::bridge::test
