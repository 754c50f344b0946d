/// Groups, topics and rows of the kafka connector's down direction.
#include "tests/contract/kafka_down_fixture.hpp"

namespace sluice::bridge::test {
namespace {

class KafkaDownGroups : public KafkaDownFixture {
  protected:
    void TearDown() override {
        if (other_connector_) other_connector_->stop(milliseconds(100));
        KafkaDownFixture::TearDown();
    }
    /// A second gateway with the same keys.
    void start_other() {
        auto spec = settings_.spec;
        spec.origin = "gateway-2";
        auto created = settings_.module->create(spec);
        ASSERT_TRUE(created.ok()) << created.error();
        other_connector_ = std::move(created).value();
        other_.attach(*other_connector_);
        other_connector_->start(other_, {});
    }
    static void settle_of(Feeder& feeder, Connector& connector) {
        std::vector<Settled> settled;
        feeder.read([&] {
            for (const Incoming& one : feeder.incoming_) settled.push_back({one.token, true, {}});
            return 0;
        });
        connector.settle(std::move(settled));
    }
    Feeder other_;
    std::unique_ptr<Connector> other_connector_;
};
INSTANTIATE_TEST_SUITE_P(peers, KafkaDownGroups, ::testing::Values("kafka", "kafka_real"),
                         [](const auto& parameter) { return parameter.param; });

TEST_P(KafkaDownGroups, gateways_of_one_group_share_the_partitions) {
    write({"a", "b"}, 0);
    write({"c", "d"}, 1);
    start_receiving();
    ASSERT_TRUE(feeder_.wait_incoming(4));
    settle_of(feeder_, *connector_);
    // A real one takes commits while the group changes hands, the mock does not.
    if (GetParam() == "kafka") {
        ASSERT_TRUE(wait_committed_offset(2, 0));
        ASSERT_TRUE(wait_committed_offset(2, 1));
    }
    start_other();
    ASSERT_TRUE(other_.wait_source());
    write({"e"}, 0);
    write({"f"}, 1);
    ASSERT_TRUE(feeder_.wait_incoming(5));
    ASSERT_TRUE(other_.wait_incoming(1));
    const std::string here = payloads().back();
    EXPECT_EQ(payloads().size(), 5U);
    EXPECT_EQ(payloads_of(other_), Strings{here == "e" ? "f" : "e"});
}

TEST_P(KafkaDownGroups, what_a_leaving_gateway_had_not_settled_goes_to_another) {
    start_receiving();
    start_other();
    ASSERT_TRUE(other_.wait_source());
    write({"1"}, 0);
    write({"2"}, 1);
    ASSERT_TRUE(other_.wait_incoming(1));
    ASSERT_TRUE(feeder_.wait_incoming(1));
    settle_of(feeder_, *connector_);
    const std::string open = payloads_of(other_).at(0);
    other_connector_->stop(milliseconds(0));
    ASSERT_TRUE(feeder_.wait_incoming(2));
    EXPECT_EQ(payloads().at(1), open);
    EXPECT_EQ(payloads().size(), 2U) << "what was settled does not come twice";
}

TEST_P(KafkaDownGroups, without_a_group_each_gateway_gets_everything) {
    settings_.down("group", std::string());
    start_receiving();
    start_other();
    ASSERT_TRUE(other_.wait_source());
    write({"1"}, 0);
    write({"2"}, 1);
    ASSERT_TRUE(feeder_.wait_incoming(2));
    ASSERT_TRUE(other_.wait_incoming(2));
    settle_of(feeder_, *connector_);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (committed_offset(peer_->address(), "sluice-gateway-1-test", place_, 1) != 1)
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    EXPECT_EQ(committed_offset(peer_->address(), "sluice-gateway-2-test", place_, 1), 0);
}

TEST_P(KafkaDownGroups, both_directions_work_and_say_whose_a_message_is) {
    settings_.spec.routes = routes_;
    start();
    ASSERT_TRUE(feeder_.wait_up()) << last_down();
    ASSERT_TRUE(feeder_.wait_source()) << last_source();
    feeder_.publish_text(0, "plant/a", "up and down");
    ASSERT_TRUE(feeder_.wait_confirmed(1)) << last_down();
    ASSERT_TRUE(feeder_.wait_incoming(1));
    EXPECT_EQ(incoming(0).payload, "up and down");
    EXPECT_EQ(incoming(0).mqtt_topic, "plant/a");
    EXPECT_EQ(incoming(0).origin, "gateway-1");
    EXPECT_EQ(incoming(0).key, "device-0");
    EXPECT_EQ(incoming(0).qos, wire::QoS::at_least_once);
}

TEST_P(KafkaDownGroups, a_full_window_does_not_hold_up_the_way_up) {
    settings_.spec.routes = routes_;
    settings_.spec.down_inflight_max = 1;
    start();
    ASSERT_TRUE(feeder_.wait_source()) << last_source();
    for (int i = 0; i < 100; ++i) feeder_.publish_text(0, "plant/a", std::to_string(i));
    ASSERT_TRUE(feeder_.wait_confirmed(100)) << last_down();
    ASSERT_TRUE(feeder_.wait_incoming(1));
    EXPECT_EQ(payloads().size(), 1U);
    for (std::size_t i = 0; i < 100; ++i) {
        ASSERT_TRUE(feeder_.wait_incoming(i + 1));
        settle(i);
    }
}

TEST_P(KafkaDownGroups, a_pattern_takes_topics_in_and_the_first_row_that_fits_has_them) {
    peer_->ask("topic " + place_ + "-x 1");
    settings_.add_down();
    settings_.down("topics", Strings{"^" + place_ + ".*"}, 1);
    settings_.down("start", earliest, 1);
    write({"plain"});
    write_topic(peer_->address(), place_ + "-x", {{"by pattern", 0, {}, {}}});
    start_receiving();
    ASSERT_TRUE(feeder_.wait_incoming(2));
    const std::size_t plain = incoming(0).payload == "plain" ? 0 : 1;
    EXPECT_EQ(incoming(plain).route, 0U);
    EXPECT_EQ(incoming(1 - plain).payload, "by pattern");
    EXPECT_EQ(incoming(1 - plain).source, place_ + "-x");
    EXPECT_EQ(incoming(1 - plain).route, 1U);
}

TEST_P(KafkaDownGroups, a_missing_topic_is_named_until_it_is_there_and_the_others_work) {
    if (GetParam() == "kafka") GTEST_SKIP() << "the mock makes a topic that is asked for";
    const std::string late = place_ + "-late";
    settings_.down("topics", Strings{place_, late});
    write({"1"});
    start();
    ASSERT_TRUE(wait_source_problem(late)) << last_source();
    ASSERT_TRUE(feeder_.wait_incoming(1));
    settle(0);
    peer_->ask("topic " + late + " 1");
    ASSERT_TRUE(feeder_.wait_source()) << last_source();
    write_topic(peer_->address(), late, {{"2", 0, {}, {}}});
    ASSERT_TRUE(feeder_.wait_incoming(2));
    EXPECT_EQ(incoming(1).source, late);
}

TEST_P(KafkaDownGroups, a_partition_that_is_added_is_read_from_its_begin) {
    if (GetParam() == "kafka") GTEST_SKIP() << "the mock's topics do not grow";
    settings_.down("start", latest);
    write({"old"});
    start_receiving();
    stop();
    peer_->ask("partitions " + place_ + " 3");
    write({"first of the new one"}, 2);
    start_receiving();
    ASSERT_TRUE(feeder_.wait_incoming(1));
    EXPECT_EQ(payloads(), Strings{"first of the new one"});
}

TEST_P(KafkaDownGroups, a_topic_that_is_made_anew_is_read_from_its_begin) {
    if (GetParam() == "kafka") GTEST_SKIP() << "the mock deletes no topics";
    write({"1", "2", "3"});
    start_receiving();
    ASSERT_TRUE(feeder_.wait_incoming(3));
    settle_all();
    ASSERT_TRUE(wait_committed_offset(3));
    stop();
    peer_->ask("delete " + place_);
    peer_->ask("topic " + place_ + " 2");
    write({"anew"});
    start();
    ASSERT_TRUE(feeder_.wait_incoming(1)) << last_source();
    EXPECT_EQ(payloads(), Strings{"anew"});
    settle(0);
    ASSERT_TRUE(wait_committed_offset(1));
}

TEST_P(KafkaDownGroups, mistakes_in_the_keys_are_told_with_their_place) {
    const auto expect = [&](const std::string& words) {
        EXPECT_EQ(create_error().substr(0, 12), "test.toml:7:");
        EXPECT_NE(create_error().find(words), std::string::npos) << create_error();
    };
    settings_.down("topics", Strings{});
    expect("topics: the list is empty; expected at least one topic");
    settings_.down("topics", Strings{"plant/a"});
    expect("topics: the topic name 'plant/a' has other characters");
    settings_.down("topics", Strings{"^("});
    expect("topics: '^(' is no pattern:");
    settings_.down("topics", Strings{"commands"});
    settings_.down("group", std::string(300, 'g'));
    expect("group: the name has 300 bytes; expected at most 255");
    settings_.down("group", std::string("a"));
    settings_.add_down();
    settings_.down("topics", Strings{"others"}, 1);
    EXPECT_EQ(create_error(), "");
    settings_.down("group", std::string("b"), 1);
    expect("group: 'b' differs from 'a' of an earlier row; expected one group");
    settings_.down("group", std::string("a"), 1);
    settings_.bridge("options", Strings{"enable.auto.commit=true"});
    EXPECT_NE(create_error().find("'enable.auto.commit' is set by the bridge itself"), std::string::npos)
        << create_error();
}

}  // namespace
}  // namespace sluice::bridge::test
