/// What the kafka connector does with a real Kafka that the mock cannot show: TLS, SASL, topics that are
/// missing, closed or narrow.
#include <algorithm>
#include <thread>

#include "tests/contract/connector_fixture.hpp"
#include "tests/contract/kafka_node_peer.hpp"

namespace sluice::bridge::test {
namespace {

class KafkaNode : public ConnectorFixture {
  protected:
    void SetUp() override {
        if (!use("kafka_real")) GTEST_SKIP() << why_;
        node_ = static_cast<KafkaNodePeer*>(peer_);
    }
    std::string certificate(const std::string& name) const {
        return node_->doors().certificates + "/" + name;
    }
    void through(int port, std::vector<std::string> options) {
        settings_.bridge("servers", std::vector<std::string>{"localhost:" + std::to_string(port)});
        settings_.bridge("options", std::move(options));
    }
    void through_sasl(const std::string& mechanism, const std::string& user, const std::string& password,
                      const std::string& ca = "ca.crt") {
        through(node_->doors().sasl_ssl,
                {"security.protocol=SASL_SSL", "ssl.ca.location=" + certificate(ca),
                 "sasl.mechanism=" + mechanism, "sasl.username=" + user, "sasl.password=" + password});
    }
    /// It does not come up, and what the operator is told has this in it.
    void expect_down(const std::string& part) {
        start_at_place();
        ASSERT_TRUE(feeder_.wait_down());
        EXPECT_NE(last_down().find(part), std::string::npos) << last_down();
        EXPECT_EQ(last_down().find("-secret"), std::string::npos) << last_down();
        EXPECT_EQ(feeder_.read([&] { return feeder_.ups_; }), 0U);
    }
    void expect_one_record() {
        start_at_place();
        ASSERT_TRUE(feeder_.wait_up()) << last_down();
        feeder_.publish_text(0, "plant/a", "x");
        ASSERT_TRUE(feeder_.wait_confirmed(1)) << last_down();
        EXPECT_EQ(peer_->receive(place_, 1).size(), 1U);
    }
    bool wait_stall(const std::string& part) {
        return feeder_.wait([&] {
            return !feeder_.stalls_.empty() && feeder_.stalls_.back().find(part) != std::string::npos;
        });
    }
    /// A second route, to that topic.
    void add_route(const std::string& topic) {
        settings_.spec.routes.push_back({"x/#", "test.toml:9", settings_.module->make_route_settings()});
        settings_.route("topic", topic, 1);
    }
    void publish_to_second_route(std::string_view payload) {
        core::Message::Fields fields;
        fields.topic = "x/y";
        fields.payload = as_bytes(payload);
        fields.client_id = "device";
        feeder_.publish(1, 1, core::Message::freeze(fields));
    }
    /// Lane 1 cannot go on, lane 0 can; after `mend` lane 1 has lost nothing and kept its order.
    template <class Mend>
    void expect_stall_until(const std::string& topic, Mend mend) {
        ASSERT_TRUE(feeder_.wait_up()) << last_down();
        for (const char* payload : {"1", "2", "3"}) publish_to_second_route(payload);
        feeder_.publish_text(0, "plant/a", "other");
        ASSERT_TRUE(feeder_.wait_confirmed(1));
        ASSERT_TRUE(wait_stall(topic)) << "the stall was not told";
        mend();
        ASSERT_TRUE(feeder_.wait_confirmed(4)) << last_down();
        ASSERT_TRUE(feeder_.wait([&] { return feeder_.stalls_.back().empty(); })) << "the stall did not end";
        EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U);
        const auto all = peer_->receive(topic, 3);
        ASSERT_EQ(all.size(), 3U);
        EXPECT_EQ(all[0].payload + all[1].payload + all[2].payload, "123");
    }

    KafkaNodePeer* node_ = nullptr;
};

class KafkaNodeSasl : public KafkaNode, public ::testing::WithParamInterface<const char*> {};
TEST_P(KafkaNodeSasl, a_user_with_the_password_gets_in) {
    through_sasl(GetParam(), "sluice", "sluice-secret");
    place_ += std::string("-") + GetParam();
    expect_one_record();
}
TEST_P(KafkaNodeSasl, another_password_is_refused_and_said_to_be) {
    through_sasl(GetParam(), "sluice", "wrong-secret");
    place_ += std::string("-wrong-") + GetParam();
    expect_down("SASL");
}
INSTANTIATE_TEST_SUITE_P(mechanisms, KafkaNodeSasl,
                         ::testing::Values("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
                         [](const auto& parameter) {
                             std::string name = parameter.param;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

TEST_F(KafkaNode, the_way_down_proves_itself_as_the_way_up) {
    const auto start_with = [&](const char* password) {
        settings_.bridge("servers",
                         std::vector<std::string>{"localhost:" + std::to_string(node_->doors().sasl_ssl)});
        settings_.bridge("ca_file", certificate("ca.crt"));
        settings_.bridge("sasl", std::int64_t{3});  // scram-sha-512
        settings_.bridge("user", std::string("sluice"));
        settings_.bridge("password", std::string(password));
        start();
    };
    settings_.add_down();
    settings_.down("topics", std::vector<std::string>{place_});
    peer_->configure_place(settings_, place_);
    start_with("wrong-secret");
    ASSERT_TRUE(feeder_.wait([&] { return !feeder_.sources_.empty(); }));
    const std::string problem = feeder_.read([&] { return feeder_.sources_.back(); });
    EXPECT_NE(problem.find("SASL"), std::string::npos) << problem;
    EXPECT_EQ(problem.find("-secret"), std::string::npos) << problem;
    connector_->stop(std::chrono::milliseconds(100));
    start_with("sluice-secret");
    ASSERT_TRUE(feeder_.wait_source()) << last_down();
    ASSERT_TRUE(feeder_.wait_up()) << last_down();
    feeder_.publish_text(0, "plant/a", "x");
    ASSERT_TRUE(feeder_.wait_incoming(1)) << last_down();
}

TEST_F(KafkaNode, a_server_that_another_ca_has_signed_is_not_trusted) {
    through_sasl("SCRAM-SHA-512", "sluice", "sluice-secret", "wrong-ca.crt");
    expect_down("the server's certificate is not accepted");
}

TEST_F(KafkaNode, a_client_certificate_gets_in_and_none_does_not) {
    const std::vector<std::string> trust{"security.protocol=SSL", "ssl.ca.location=" + certificate("ca.crt")};
    through(node_->doors().ssl, trust);
    expect_down("SSL");
    connector_->stop(std::chrono::milliseconds(100));
    connector_.reset();
    auto mutual = trust;
    mutual.push_back("ssl.certificate.location=" + certificate("device-0001.crt"));
    mutual.push_back("ssl.key.location=" + certificate("device-0001.key"));
    through(node_->doors().ssl, mutual);
    place_ += "-mutual";
    expect_one_record();
}

TEST_F(KafkaNode, a_missing_topic_stalls_its_lane_only_and_goes_on_when_it_is_made) {
    peer_->configure_place(settings_, place_);
    const std::string missing = place_ + "-missing";
    add_route(missing);
    start();
    expect_stall_until(missing, [&] { node_->ask("topic " + missing + " 1"); });
}

TEST_F(KafkaNode, a_topic_that_may_not_be_written_stalls_its_lane_only_and_goes_on_when_it_may) {
    through_sasl("SCRAM-SHA-256", "stranger", "stranger-secret");
    peer_->configure_place(settings_, place_);
    const std::string closed = place_ + "-closed";
    node_->ask("topic " + closed + " 1");
    node_->ask("deny stranger " + closed);
    add_route(closed);
    start();
    expect_stall_until(closed, [&] { node_->ask("allow stranger " + closed); });
}

/// With a topic for each device, of which one is not there for us; with either delivery.
class KafkaNodeBadTopic : public KafkaNode, public ::testing::WithParamInterface<const char*> {
  protected:
    void SetUp() override {
        if (!use(GetParam())) GTEST_SKIP() << why_;
        // What stands behind either name is the one node.
        std::string why;
        node_ = static_cast<KafkaNodePeer*>(peer_of("kafka_real", why));
        through_sasl("SCRAM-SHA-256", "stranger", "stranger-secret");
        peer_->configure_place(settings_, place_);
        node_->ask("topic " + place_ + ".open 1");
        settings_.route("topic", place_ + ".{topic[1]}");
    }
    void expect_refused_alone() {
        start();
        ASSERT_TRUE(feeder_.wait_up()) << last_down();
        std::string expected, came;
        for (std::uint64_t tag = 1; tag <= count; ++tag) {
            feeder_.publish_text(0, tag % 2 == 0 ? "plant/open" : "plant/bad", std::to_string(tag));
            if (tag % 2 == 0) expected += std::to_string(tag) + " ";
        }
        ASSERT_TRUE(feeder_.wait_confirmed(count)) << last_down();
        for (std::uint64_t tag = 1; tag <= count; ++tag) {
            const Confirm confirm = feeder_.read([&] { return feeder_.confirmed_.at({0, tag}); });
            EXPECT_EQ(confirm.outcome, tag % 2 == 0 ? Outcome::delivered : Outcome::refused) << tag;
            EXPECT_EQ(confirm.reason.find(place_ + ".bad") == std::string::npos, tag % 2 == 0)
                << confirm.reason;
        }
        EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U) << last_down();
        for (const auto& record : peer_->receive(place_ + ".open", count / 2)) came += record.payload + " ";
        EXPECT_EQ(came, expected) << "in their order";
    }
    static constexpr std::uint64_t count = 40;
};

INSTANTIATE_TEST_SUITE_P(deliveries, KafkaNodeBadTopic, ::testing::Values("kafka_real", "kafka_real_once"),
                         [](const auto& parameter) { return parameter.param; });

TEST_P(KafkaNodeBadTopic, missing) {
    expect_refused_alone();
}

TEST_P(KafkaNodeBadTopic, not_to_be_written) {
    node_->ask("topic " + place_ + ".bad 1");
    node_->ask("deny stranger " + place_ + ".bad");
    expect_refused_alone();
}

TEST_P(KafkaNodeBadTopic, not_to_be_known_of) {
    node_->ask("topic " + place_ + ".bad 1");
    node_->ask("deny stranger " + place_ + ".bad all");
    expect_refused_alone();
}

class KafkaNodeTime : public KafkaNode {
  protected:
    enum : std::int64_t { as_received, as_sent };
    /// Of one message, sent by a bridge of its own.
    Confirm carry(std::int64_t timestamp, const std::string& place, std::chrono::hours age) {
        settings_.route("topic", place);
        settings_.bridge("timestamp", timestamp);
        start();
        core::Message::Fields fields;
        fields.topic = "plant/a";
        fields.payload = as_bytes("x");
        fields.received = WallTime(Feeder::now() - age);
        const auto before = feeder_.read([&] { return feeder_.confirmed_.size(); });
        feeder_.publish(0, fields);
        EXPECT_TRUE(feeder_.wait_confirmed(before + 1)) << last_down();
        connector_->stop(std::chrono::milliseconds(100));
        return feeder_.read([&] { return feeder_.confirmed_.rbegin()->second; });
    }
};

/// The node deletes what is over seven days old, by the time of the record, and checks every second.
TEST_F(KafkaNodeTime, what_waited_longer_than_the_cluster_keeps_stays_there_under_the_time_of_sending) {
    const std::string sent = place_ + "-sent";
    const std::string received = place_ + "-received";
    for (const auto& place : {sent, received}) peer_->configure_place(settings_, place);
    EXPECT_EQ(carry(as_sent, sent, std::chrono::hours(24 * 8)).outcome, Outcome::delivered);
    EXPECT_EQ(carry(as_received, received, std::chrono::hours(24 * 8)).outcome, Outcome::delivered);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!peer_->receive(received, 0).empty() && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_TRUE(peer_->receive(received, 0).empty()) << "the node keeps it: this test shows nothing";
    EXPECT_EQ(peer_->receive(sent, 1).size(), 1U);
}

TEST_F(KafkaNodeTime, what_came_in_under_a_clock_that_ran_ahead_is_taken_under_the_time_of_sending) {
    peer_->ask("topic " + place_ + " 2 message.timestamp.after.max.ms=3600000");
    settings_.route("topic", place_);
    const Confirm refused = carry(as_received, place_, std::chrono::hours(-2));
    EXPECT_EQ(refused.outcome, Outcome::refused);
    EXPECT_NE(refused.reason.find("timestamp"), std::string::npos) << refused.reason;
    EXPECT_EQ(carry(as_sent, place_, std::chrono::hours(-2)).outcome, Outcome::delivered);
    EXPECT_EQ(peer_->receive(place_, 1).size(), 1U);
}

TEST_F(KafkaNode, what_is_too_large_for_the_topic_alone_is_refused_out_of_a_full_batch) {
    node_->ask("topic " + place_ + " 2 max.message.bytes=1500");
    settings_.route("topic", place_);
    start();
    ASSERT_TRUE(feeder_.wait_up()) << last_down();
    constexpr std::uint64_t count = 60, large_every = 20;
    for (std::uint64_t tag = 1; tag <= count; ++tag)
        feeder_.publish_text(0, "plant/a",
                             tag % large_every == 0 ? std::string(4000, 'x') : std::to_string(tag));
    ASSERT_TRUE(feeder_.wait_confirmed(count)) << last_down();
    std::string expected, came;
    for (std::uint64_t tag = 1; tag <= count; ++tag) {
        const Confirm confirm = feeder_.read([&] { return feeder_.confirmed_.at({0, tag}); });
        EXPECT_EQ(confirm.outcome, tag % large_every == 0 ? Outcome::refused : Outcome::delivered) << tag;
        if (tag % large_every != 0) {
            expected += std::to_string(tag) + " ";
        } else {
            EXPECT_NE(confirm.reason.find(place_), std::string::npos) << confirm.reason;
        }
    }
    for (const auto& received : peer_->receive(place_, count - count / large_every))
        came += received.payload + " ";
    EXPECT_EQ(came, expected);
}

}  // namespace
}  // namespace sluice::bridge::test
