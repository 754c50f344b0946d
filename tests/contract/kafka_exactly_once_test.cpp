/// What delivery exactly once adds: the position in the cluster decides what is still to be sent. The mock
/// shows the flow only: it hides nothing that was aborted and keeps no position of a transaction, so what
/// must come once is asked of a real Kafka.
#include <algorithm>
#include <set>

#include "tests/contract/connector_fixture.hpp"

namespace sluice::bridge::test {
namespace {

using std::chrono::milliseconds;

/// A connector and its bridge, one life of it.
struct Life {
    explicit Life(const SettingsUnderTest& settings, const std::vector<LaneName>& lanes) {
        auto created = settings.module->create(settings.spec);
        if (!created) {
            ADD_FAILURE() << created.error();
            return;
        }
        connector = std::move(created).value();
        feeder.attach(*connector);
        connector->start(feeder, lanes);
    }
    ~Life() { end(); }
    void end() {
        if (connector) connector->stop(milliseconds(500));
    }
    Outcome outcome(std::uint64_t tag) {
        return feeder.read([&] { return feeder.confirmed_.at({0, tag}).outcome; });
    }
    Feeder feeder;
    std::unique_ptr<Connector> connector;
};

/// The same in every life. Not older: the cluster deletes by the time of the record.
const WallTime a_while_ago = Feeder::now() - std::chrono::minutes(1);

class KafkaOnce : public ConnectorFixture, public ::testing::WithParamInterface<std::string> {
  protected:
    void SetUp() override {
        if (!use(GetParam())) GTEST_SKIP() << why_;
    }
    static void publish_text(Feeder& feeder, std::uint32_t lane, std::string_view topic,
                             std::string_view payload, WallTime received = a_while_ago) {
        core::Message::Fields fields;
        fields.topic = topic;
        fields.payload = as_bytes(payload);
        fields.client_id = "device";
        fields.received = received;
        feeder.publish(lane, fields);
    }
    /// The same number of the same lane is the same message, in every life.
    static void publish_numbers(Feeder& feeder, int from, int to, std::uint32_t lane = 0,
                                WallTime received = a_while_ago) {
        for (int i = from; i < to; ++i) publish_text(feeder, lane, "plant/a", std::to_string(i), received);
    }
    void expect_each_once(std::size_t count) {
        const auto all = peer_->receive(place_, count);
        std::multiset<int> numbers;
        for (const auto& received : all) numbers.insert(std::stoi(received.payload));
        EXPECT_EQ(all.size(), count);
        for (int i = 0; i < static_cast<int>(count); ++i) EXPECT_EQ(numbers.count(i), 1U) << i;
    }
    std::string create_error() {
        const auto created = settings_.module->create(settings_.spec);
        return created.ok() ? "" : created.error();
    }
};
INSTANTIATE_TEST_SUITE_P(peers, KafkaOnce, ::testing::Values("kafka_once", "kafka_real_once"),
                         [](const auto& parameter) { return parameter.param; });

TEST_P(KafkaOnce, keys_that_do_not_go_together_are_refused) {
    peer_->configure_place(settings_, place_);
    EXPECT_EQ(create_error(), "");
    settings_.bridge("position_topic", std::string());
    EXPECT_NE(create_error().find("position_topic is missing; expected"), std::string::npos)
        << create_error();
    settings_.bridge("position_topic", std::string("a/b"));
    EXPECT_NE(create_error().find("position_topic: "), std::string::npos) << create_error();
    settings_.bridge("position_topic", std::string("positions"));
    settings_.bridge("options", std::vector<std::string>{"transaction.timeout.ms=1000"});
    EXPECT_NE(create_error().find("'transaction.timeout.ms' is set by the bridge itself"), std::string::npos)
        << create_error();
    settings_.bridge("options", std::vector<std::string>{});
    settings_.bridge("transaction_time", std::int64_t{6'000});
    EXPECT_NE(create_error().find("transaction_time is 6000 ms; expected"), std::string::npos)
        << create_error();
    settings_.bridge("transaction_time", std::int64_t{100});
    settings_.bridge("delivery", std::int64_t{0});
    EXPECT_NE(create_error().find("position_topic is given without"), std::string::npos) << create_error();
}

class KafkaOnceNode : public KafkaOnce {};
INSTANTIATE_TEST_SUITE_P(peers, KafkaOnceNode, ::testing::Values("kafka_real_once"),
                         [](const auto& parameter) { return parameter.param; });

TEST_P(KafkaOnceNode, the_next_life_does_not_send_again_what_a_lost_confirm_was_about) {
    peer_->configure_place(settings_, place_);
    Life first(settings_, lanes());
    publish_numbers(first.feeder, 0, 30);
    ASSERT_TRUE(first.feeder.wait_confirmed(30))
        << first.feeder.read([&] { return first.feeder.downs_; }).back();
    first.end();
    Life second(settings_, lanes());  // knows of no confirm
    publish_numbers(second.feeder, 0, 50);
    ASSERT_TRUE(second.feeder.wait_confirmed(50));
    second.end();
    expect_each_once(50);
}

TEST_P(KafkaOnceNode, lanes_have_positions_of_their_own) {
    peer_->configure_place(settings_, place_);
    {
        Life first(settings_, lanes());
        publish_numbers(first.feeder, 0, 10, 1);
        ASSERT_TRUE(first.feeder.wait_confirmed(10));
    }
    Life second(settings_, lanes());
    publish_numbers(second.feeder, 10, 20, 2);  // the same sequences, of another lane
    ASSERT_TRUE(second.feeder.wait_confirmed(10));
    expect_each_once(20);
}

TEST_P(KafkaOnceNode, a_store_that_was_lost_and_numbers_anew_loses_nothing_to_the_old_position) {
    peer_->configure_place(settings_, place_);
    {
        Life first(settings_, lanes());
        publish_numbers(first.feeder, 0, 10);
        ASSERT_TRUE(first.feeder.wait_confirmed(10));
    }
    {
        Life second(settings_, lanes());
        publish_numbers(second.feeder, 10, 15, 0, a_while_ago + Millis(1));  // sequences 1 to 5
        ASSERT_TRUE(second.feeder.wait_confirmed(5));
    }
    Life third(settings_, lanes());  // goes on from the new ones
    publish_numbers(third.feeder, 10, 20, 0, a_while_ago + Millis(1));
    ASSERT_TRUE(third.feeder.wait_confirmed(10));
    expect_each_once(20);
}

TEST_P(KafkaOnceNode, another_store_is_told_by_its_id_where_the_clock_is_behind) {
    peer_->configure_place(settings_, place_);
    settings_.spec.store_id = "9f86d081884c7d65";
    {
        Life first(settings_, lanes());
        publish_numbers(first.feeder, 0, 10);
        ASSERT_TRUE(first.feeder.wait_confirmed(10));
    }
    settings_.spec.store_id = "60303ae22b998861";
    {
        Life second(settings_, lanes());
        publish_numbers(second.feeder, 10, 15, 0, a_while_ago - Millis(1));  // sequences 1 to 5
        ASSERT_TRUE(second.feeder.wait_confirmed(5));
    }
    Life third(settings_, lanes());  // the same store: it knows what is there
    publish_numbers(third.feeder, 10, 20, 0, a_while_ago - Millis(1));
    ASSERT_TRUE(third.feeder.wait_confirmed(10));
    expect_each_once(20);
}

TEST_P(KafkaOnceNode, what_was_refused_below_the_position_is_judged_again) {
    peer_->configure_refusal(settings_, place_);
    const auto publish = [](Feeder& feeder) {
        publish_text(feeder, 0, "plant/a", "0");
        publish_text(feeder, 0, "plant/refused", std::string(4000, 'x'));
        publish_text(feeder, 0, "plant/a", "1");
    };
    {
        Life first(settings_, lanes());
        publish(first.feeder);
        ASSERT_TRUE(first.feeder.wait_confirmed(3));
        EXPECT_EQ(first.outcome(2), Outcome::refused);
    }
    Life second(settings_, lanes());
    publish(second.feeder);
    publish_numbers(second.feeder, 2, 3);
    ASSERT_TRUE(second.feeder.wait_confirmed(4));
    EXPECT_EQ(second.outcome(1), Outcome::delivered);
    EXPECT_EQ(second.outcome(2), Outcome::refused) << "it would be in no dead letter";
    expect_each_once(3);
}

TEST_P(KafkaOnceNode, two_connectors_of_one_name_fence_each_other_and_send_nothing_twice) {
    peer_->configure_place(settings_, place_);
    Life zombie(settings_, lanes());
    publish_numbers(zombie.feeder, 0, 20);
    ASSERT_TRUE(zombie.feeder.wait_confirmed(20));
    Life successor(settings_, lanes());
    ASSERT_TRUE(successor.feeder.wait_up());
    publish_numbers(successor.feeder, 0, 60);
    publish_numbers(zombie.feeder, 20, 60);
    ASSERT_TRUE(zombie.feeder.wait_confirmed(60));
    ASSERT_TRUE(successor.feeder.wait_confirmed(60));
    const auto downs = zombie.feeder.read([&] { return zombie.feeder.downs_; });
    ASSERT_FALSE(downs.empty()) << "it was not fenced";
    EXPECT_TRUE(std::any_of(downs.begin(), downs.end(), [](const std::string& reason) {
        return reason.find("fenced") != std::string::npos ||
               reason.find("another producer") != std::string::npos;
    })) << downs.front();
    expect_each_once(60);
}

TEST_P(KafkaOnceNode, the_node_is_killed_in_the_middle_and_nothing_comes_twice) {
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up()) << last_down();
    publish_numbers(feeder_, 0, 1000);
    ASSERT_TRUE(feeder_.wait_confirmed(1)) << last_down();
    peer_->down();
    publish_numbers(feeder_, 1000, 1500);
    peer_->up();
    publish_numbers(feeder_, 1500, 2000);
    ASSERT_TRUE(feeder_.wait_confirmed(2000)) << last_down();
    expect_each_once(2000);
}

TEST_P(KafkaOnceNode, one_that_is_too_large_is_refused_out_of_a_transaction_and_the_rest_comes_once) {
    peer_->ask("topic " + place_ + " 2 max.message.bytes=1500");
    settings_.route("topic", place_);
    start();
    ASSERT_TRUE(feeder_.wait_up()) << last_down();
    for (int i = 0; i < 100; ++i) {
        if (i % 40 == 20) feeder_.publish_text(0, "plant/a", std::string(4000, 'x'));
        publish_numbers(feeder_, i, i + 1);
    }
    ASSERT_TRUE(feeder_.wait_confirmed(102)) << last_down();
    const auto refused = feeder_.read([&] {
        return std::count_if(feeder_.confirmed_.begin(), feeder_.confirmed_.end(),
                             [](const auto& one) { return one.second.outcome == Outcome::refused; });
    });
    EXPECT_EQ(refused, 2);
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U) << last_down();
    expect_each_once(100);
}

TEST_P(KafkaOnceNode, what_one_route_has_refused_does_not_starve_another) {
    peer_->ask("topic " + place_ + " 2 max.message.bytes=100000");
    settings_.route("topic", place_);
    peer_->ask("topic " + place_ + ".a 1");
    settings_.spec.routes.push_back({"x/#", "test.toml:9", settings_.module->make_route_settings()});
    settings_.route("topic", place_ + ".{topic[1]}", 1);
    start();
    ASSERT_TRUE(feeder_.wait_up()) << last_down();
    const auto publish_to_other = [&](std::string_view topic) {
        core::Message::Fields fields;
        fields.topic = topic;
        fields.payload = as_bytes("x");
        feeder_.publish(1, 1, core::Message::freeze(fields));
    };
    const auto confirmed = [&](std::uint32_t lane) {
        return std::count_if(feeder_.confirmed_.begin(), feeder_.confirmed_.end(),
                             [&](const auto& one) { return one.first.first == lane; });
    };
    feeder_.publish_text(0, "plant/a", std::string(150'000, 'x'));
    int sent = 0;
    // The first route has something to send all the time.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (; feeder_.read([&] { return confirmed(1) < 41; }); ++sent) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline) << last_down();
        publish_numbers(feeder_, sent, sent + 1);
        if (sent < 41) publish_to_other(sent == 20 ? "x/missing" : "x/a");
        feeder_.wait([&] { return feeder_.pending_.size() < 300; }, milliseconds(3));
    }
    ASSERT_TRUE(feeder_.wait([&] { return confirmed(0) == sent + 1; })) << last_down();
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U) << last_down();
    expect_each_once(static_cast<std::size_t>(sent));
}

TEST_P(KafkaOnceNode, a_missing_topic_holds_up_its_lane_only) {
    peer_->configure_place(settings_, place_);
    const std::string missing = place_ + "-missing";
    settings_.spec.routes.push_back({"x/#", "test.toml:9", settings_.module->make_route_settings()});
    settings_.route("topic", missing, 1);
    start();
    ASSERT_TRUE(feeder_.wait_up()) << last_down();
    core::Message::Fields fields;
    fields.topic = "x/y";
    fields.payload = as_bytes("0");
    feeder_.publish(1, 1, core::Message::freeze(fields));
    publish_numbers(feeder_, 0, 50);
    ASSERT_TRUE(feeder_.wait_confirmed(50)) << last_down();
    ASSERT_TRUE(feeder_.wait([&] {
        return !feeder_.stalls_.empty() && feeder_.stalls_.back().find(missing) != std::string::npos;
    })) << "the stall was not told";
    peer_->ask("topic " + missing + " 1");
    ASSERT_TRUE(feeder_.wait_confirmed(51)) << last_down();
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U);
    expect_each_once(50);
    EXPECT_EQ(peer_->receive(missing, 1).size(), 1U);
}

TEST_P(KafkaOnceNode, a_missing_topic_that_a_message_names_is_given_up_and_the_rest_comes_once) {
    peer_->configure_place(settings_, place_);  // makes PLACE
    peer_->ask("topic " + place_ + ".a 1");
    settings_.route("topic", place_ + ".{topic[1]}");
    start();
    ASSERT_TRUE(feeder_.wait_up()) << last_down();
    publish_numbers(feeder_, 0, 20);
    publish_text(feeder_, 0, "plant/missing", "x");
    publish_numbers(feeder_, 20, 40);
    ASSERT_TRUE(feeder_.wait_confirmed(41)) << last_down();
    EXPECT_EQ(feeder_.read([&] { return feeder_.confirmed_.at({0, 21}).outcome; }), Outcome::refused);
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U) << last_down();
    place_ += ".a";
    expect_each_once(40);
}

}  // namespace
}  // namespace sluice::bridge::test
