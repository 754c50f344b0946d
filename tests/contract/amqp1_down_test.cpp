/// What only the amqp1 connector does, downwards.
#include <set>

#include "tests/contract/amqp1_fixture.hpp"

namespace sluice::bridge::test {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

class Amqp1Down : public Amqp1Fixture {
  protected:
    void start_down() {
        settings_.spec.routes.clear();
        settings_.add_down();
        settings_.down("address", place_);
        start();
        ASSERT_TRUE(feeder_.wait_up());
    }
    bool wait_incoming(std::size_t count) {
        return feeder_.wait([&] { return feeder_.incoming_.size() >= count; }, std::chrono::seconds(20));
    }
    std::vector<Incoming> incoming() {
        return feeder_.read([&] { return feeder_.incoming_; });
    }
    bool wait_outcomes(std::size_t count) {
        return wait_until([&] { return mock_->outcomes(place_).size() >= count; });
    }
    void put_numbers(int from, int to) {
        for (int i = from; i < to; ++i) mock_->put(place_, {{"data", {std::to_string(i)}}});
    }
    static std::vector<std::string> payloads_of(const std::vector<Incoming>& all) {
        std::vector<std::string> result;
        for (const auto& one : all) result.push_back(one.payload);
        return result;
    }
};

TEST_F(Amqp1Down, a_message_comes_apart_into_what_mqtt_says) {
    mock_->put(place_, {{"data", {"{\"a\":", "1}"}},
                        {"subject", "alarm"},
                        {"message_id", "m-1"},
                        {"reply_to", "answers/7"},
                        {"correlation_id", "call 9"},
                        {"content_type", "application/json"},
                        {"ttl_ms", 90'500},
                        {"properties",
                         {{"mqtt.topic", "plant/7/command"},
                          {"sluice.origin", "gw-2"},
                          {"mqtt.qos", 2},
                          {"mqtt.retain", true},
                          {"payload-format-indicator", 1},
                          {"site", "Jülich"},
                          {"number", 7}}}});
    start_down();
    ASSERT_TRUE(wait_incoming(1));
    const Incoming one = incoming().at(0);
    EXPECT_EQ(one.payload, "{\"a\":1}") << "of both data sections";
    EXPECT_EQ(one.source, "alarm");
    EXPECT_EQ(one.key, "");
    EXPECT_EQ(one.mqtt_topic, "plant/7/command");
    EXPECT_EQ(one.origin, "gw-2");
    EXPECT_EQ(one.qos, wire::QoS::exactly_once);
    EXPECT_TRUE(one.retain);
    EXPECT_EQ(one.content_type, "application/json");
    EXPECT_EQ(one.response_topic, "answers/7");
    EXPECT_EQ(one.correlation_data, "call 9");
    EXPECT_EQ(one.payload_is_text, true);
    EXPECT_EQ(one.expiry_interval_s, 91U);
    const std::map<std::string, std::string> headers(one.headers.begin(), one.headers.end());
    const std::map<std::string, std::string> expected{
        {"message-id", "m-1"}, {"site", "Jülich"}, {"number", "7"}};
    EXPECT_EQ(headers, expected);
}

TEST_F(Amqp1Down, a_bare_message_has_its_address_as_source) {
    mock_->put(place_, {{"value", "text"}, {"reply_to", "/queues/answers/#"}});
    mock_->put(place_, {{"value", 42}, {"annotations", {{"x-routing-key", "plant.a"}}}});
    mock_->put(place_, {{"data", json::array({""})}});
    start_down();
    ASSERT_TRUE(wait_incoming(3));
    const auto all = incoming();
    EXPECT_EQ(all[0].source, place_);
    EXPECT_EQ(all[0].payload, "text");
    EXPECT_EQ(all[0].payload_is_text, true);
    EXPECT_FALSE(all[0].response_topic.has_value()) << "that is no topic";
    EXPECT_EQ(all[0].headers.at(0), (std::pair<std::string, std::string>{"reply-to", "/queues/answers/#"}));
    EXPECT_FALSE(all[0].qos.has_value());
    EXPECT_EQ(all[1].source, "plant.a");
    EXPECT_EQ(all[1].payload, "42");
    EXPECT_EQ(all[2].payload, "");
    EXPECT_FALSE(all[2].expiry_interval_s.has_value());
}

TEST_F(Amqp1Down, accepted_only_after_it_is_kept_and_rejected_when_it_is_not) {
    put_numbers(0, 2);
    start_down();
    ASSERT_TRUE(wait_incoming(2));
    EXPECT_TRUE(wait_source("")) << last_source();
    const auto all = incoming();
    EXPECT_FALSE(feeder_.wait([] { return false; }, milliseconds(300)));  // time for a wrong answer
    EXPECT_EQ(mock_->outcomes(place_).size(), 0U) << "settled before the bridge had it";
    connector_->settle({{all[1].token, false, "no such topic"}, {4711, true, ""}});
    ASSERT_TRUE(wait_outcomes(1));
    EXPECT_EQ(mock_->outcomes(place_)[0]["outcome"], "rejected");
    EXPECT_EQ(mock_->outcomes(place_)[0]["text"], "no such topic");
    connector_->settle({{all[0].token, true, ""}});
    ASSERT_TRUE(wait_outcomes(2));
    EXPECT_EQ(mock_->outcomes(place_)[1]["outcome"], "accepted");
}

TEST_F(Amqp1Down, no_more_than_the_credit_is_unsettled_and_the_order_is_kept) {
    put_numbers(0, 50);
    settings_.spec.down_inflight_max = 10;
    start_down();
    ASSERT_TRUE(wait_incoming(10));
    EXPECT_FALSE(feeder_.wait([&] { return feeder_.incoming_.size() > 10; }, milliseconds(300)));
    std::set<std::uint64_t> tokens;
    for (std::size_t done = 0; done < 50;) {
        ASSERT_TRUE(wait_incoming(done + 1));
        const auto all = incoming();
        ASSERT_LE(all.size(), done + 10);
        for (; done < all.size(); ++done) {
            EXPECT_TRUE(tokens.insert(all[done].token).second);
            connector_->settle({{all[done].token, true, ""}});
        }
    }
    EXPECT_EQ(payloads_of(incoming()), numbers(0, 50));
    ASSERT_TRUE(wait_outcomes(50));
}

TEST_F(Amqp1Down, what_is_unsettled_when_the_connection_goes_comes_again) {
    put_numbers(0, 3);
    start_down();
    ASSERT_TRUE(wait_incoming(3));
    const auto old = incoming();
    connector_->settle({{old[0].token, true, ""}});
    ASSERT_TRUE(wait_outcomes(1));
    peer_->down();
    ASSERT_TRUE(feeder_.wait_down());
    ASSERT_TRUE(feeder_.wait([&] { return !feeder_.sources_.empty() && !feeder_.sources_.back().empty(); }));
    peer_->up();
    ASSERT_TRUE(wait_incoming(5));
    EXPECT_TRUE(wait_source(""));
    const auto all = incoming();
    EXPECT_EQ(all[3].payload, "1");
    EXPECT_EQ(all[4].payload, "2");
    EXPECT_GT(all[3].token, old[2].token);
    // A settle of before is void and hurts nobody.
    connector_->settle({{old[1].token, true, ""}, {all[3].token, true, ""}, {all[4].token, true, ""}});
    ASSERT_TRUE(wait_outcomes(3));
    EXPECT_EQ(peer_->ask("waiting " + place_), "0");
}

TEST_F(Amqp1Down, a_link_that_goes_voids_its_own_and_is_opened_again) {
    put_numbers(0, 2);
    start_down();
    ASSERT_TRUE(wait_incoming(2));
    peer_->ask("detach " + place_ + " amqp:link:detach-forced for maintenance");
    ASSERT_TRUE(wait_source("amqp:link:detach-forced: for maintenance")) << last_source();
    ASSERT_TRUE(wait_incoming(4));
    EXPECT_TRUE(wait_source(""));
    const auto all = incoming();
    connector_->settle({{all[0].token, true, ""}, {all[2].token, true, ""}, {all[3].token, true, ""}});
    ASSERT_TRUE(wait_outcomes(2));
    EXPECT_EQ(downs(), 0U);
}

TEST_F(Amqp1Down, a_missing_source_is_told_and_waited_for) {
    peer_->ask("missing " + place_ + " amqp:not-found no queue of that name");
    start_down();
    ASSERT_TRUE(wait_source("'" + place_ + "': amqp:not-found: no queue of that name")) << last_source();
    put_numbers(0, 1);
    peer_->ask("present " + place_);
    ASSERT_TRUE(wait_incoming(1));
    EXPECT_TRUE(wait_source("")) << last_source();
    EXPECT_EQ(downs(), 0U);
}

TEST_F(Amqp1Down, what_cannot_be_a_message_is_rejected_and_holds_nothing_up) {
    mock_->put(place_, {{"value", json::array()}});
    mock_->put(place_, {{"data", {std::string(5000, 'x')}}});
    put_numbers(0, 1);
    settings_.spec.routes.clear();
    settings_.add_down();
    settings_.down("address", place_);
    settings_.down("message_bytes_max", std::int64_t{2000});
    start();
    ASSERT_TRUE(wait_incoming(1));
    EXPECT_EQ(incoming()[0].payload, "0");
    ASSERT_TRUE(wait_outcomes(2));
    const auto outcomes = mock_->outcomes(place_);
    EXPECT_EQ(outcomes[0]["outcome"], "rejected");
    EXPECT_EQ(outcomes[0]["text"], "its body is a PN_LIST; expected data, or a string or number");
    EXPECT_EQ(outcomes[1]["outcome"], "rejected");
    EXPECT_EQ(outcomes[1]["text"], "it has more than 2000 bytes");
}

TEST_F(Amqp1Down, the_gateways_identity_may_stand_in_the_address) {
    settings_.spec.origin = "gw-1";
    settings_.spec.routes.clear();
    settings_.add_down();
    settings_.down("address", place_ + "-{origin}");
    mock_->put(place_ + "-gw-1", {{"data", {"x"}}});
    start();
    ASSERT_TRUE(wait_incoming(1));
    settings_.down("address", std::string("{topic}"));
    const auto created = settings_.module->create(settings_.spec);
    ASSERT_FALSE(created.ok());
    EXPECT_EQ(created.error(),
              "test.toml:7: address: '{topic}' would be another one for each message; expected no "
              "placeholder but {origin}");
}

TEST_F(Amqp1Down, both_directions_share_a_connection) {
    settings_.add_down();
    settings_.down("address", place_ + "-down");
    mock_->put(place_ + "-down", {{"data", {"x"}}});
    start_at_place();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 20);
    ASSERT_TRUE(feeder_.wait_confirmed(20));
    ASSERT_TRUE(wait_incoming(1));
    connector_->settle({{incoming()[0].token, true, ""}});
    EXPECT_TRUE(wait_until([&] { return mock_->outcomes(place_ + "-down").size() == 1; }));
}

/// Memory is bounded however large messages are: what has no room waits at the server.
TEST_F(Amqp1Down, what_is_unsettled_is_bounded_by_its_bytes) {
    const std::string large(1'000'000, 'x');
    for (int i = 0; i < 40; ++i) mock_->put(place_, {{"data", {large + std::to_string(i)}}});
    start_down();
    ASSERT_TRUE(wait_incoming(9)) << last_source();
    EXPECT_FALSE(feeder_.wait([&] { return feeder_.incoming_.size() > 9; }, milliseconds(1500)));
    std::size_t settled = 0;
    while (settled < 40) {
        ASSERT_TRUE(wait_incoming(settled + 1)) << settled;
        const auto all = incoming();
        std::vector<Settled> answers;
        for (; settled < all.size(); ++settled) answers.push_back({all[settled].token, true, ""});
        connector_->settle(answers);
    }
    ASSERT_TRUE(wait_outcomes(40));
    for (std::size_t i = 0; i < 40; ++i)
        EXPECT_EQ(incoming()[i].payload.substr(large.size()), std::to_string(i));
    EXPECT_EQ(downs(), 0U);
}

}  // namespace
}  // namespace sluice::bridge::test
