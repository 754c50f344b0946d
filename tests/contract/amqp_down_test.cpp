/// What comes down by the amqp connector, and when the server is told that we have it.
#include <array>

#include "tests/contract/amqp_peer.hpp"
#include "tests/contract/connector_fixture.hpp"

namespace sluice::bridge::test {
namespace {

using std::chrono::milliseconds;

amqp_table_entry_t text_entry(const char* name, const char* text) {
    amqp_table_entry_t entry{};
    entry.key = amqp_cstring_bytes(name);
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes(text);
    return entry;
}

template <class F>
amqp_table_entry_t entry_of(const char* name, amqp_field_value_kind_t kind, F&& set) {
    amqp_table_entry_t entry{};
    entry.key = amqp_cstring_bytes(name);
    entry.value.kind = kind;
    set(entry.value.value);
    return entry;
}

class AmqpDown : public ConnectorFixture {
  protected:
    void SetUp() override {
        if (!use("amqp")) GTEST_SKIP() << why_;
        node_ = static_cast<AmqpPeer*>(peer_);
        settings_.spec.routes.clear();
        settings_.spec.origin = "gateway-1";
        settings_.add_down();
        settings_.down("queue", place_);
    }
    void make_queue(const amqp_table_t& arguments = amqp_empty_table) {
        AmqpClient(node_->port()).make_queue(place_, "", "", arguments);
    }
    void publish(const std::string& payload) { AmqpClient(node_->port()).publish(place_, payload); }
    void publish_numbers(int count) {
        AmqpClient client(node_->port());
        for (int i = 0; i < count; ++i) client.publish(place_, std::to_string(i));
    }
    Incoming incoming(std::size_t index) {
        return feeder_.read([&] { return feeder_.incoming_.at(index); });
    }
    std::size_t incoming_count() {
        return feeder_.read([&] { return feeder_.incoming_.size(); });
    }
    void settle(std::size_t index, bool kept = true) {
        connector_->settle({{incoming(index).token, kept, kept ? "" : "test"}});
    }
    /// Waits until the down direction says this; an empty text: that it receives.
    bool wait_problem(const std::string& part) {
        return feeder_.wait([&] {
            return !feeder_.sources_.empty() &&
                   (part.empty() ? feeder_.sources_.back().empty()
                                 : feeder_.sources_.back().find(part) != std::string::npos);
        });
    }
    std::string last_problem() {
        return feeder_.read([&] { return feeder_.sources_.empty() ? "none" : feeder_.sources_.back(); });
    }
    /// Without a consumer: as the node has it when ours is gone.
    int depth() { return AmqpClient(node_->port()).depth(place_); }
    bool wait_depth(int wanted) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (depth() != wanted)
            if (std::chrono::steady_clock::now() > deadline) return false;
        return true;
    }
    std::string create_error() {
        const auto created = settings_.module->create(settings_.spec);
        return created.ok() ? "" : created.error();
    }
    void break_connections() {
        ASSERT_EQ(peer_->ask("ctl close_all_connections 'by the test'").substr(0, 2), "ok");
    }

    AmqpPeer* node_ = nullptr;
};

TEST_F(AmqpDown, a_message_comes_with_all_that_it_says) {
    make_queue();
    std::array<amqp_table_entry_t, 3> inner{
        text_entry("queue", "q\"1"), entry_of("count", AMQP_FIELD_KIND_I64, [](auto& v) { v.i64 = 3; }),
        entry_of("none", AMQP_FIELD_KIND_VOID, [](auto&) {})};
    std::array<amqp_field_value_t, 2> list{};
    list[0].kind = AMQP_FIELD_KIND_TABLE;
    list[0].value.table = {inner.size(), inner.data()};
    list[1].kind = AMQP_FIELD_KIND_BOOLEAN;
    list[1].value.boolean = 1;
    std::array<amqp_table_entry_t, 15> headers{
        text_entry("x-mqtt-topic", "plant/v1.2/cmd"),
        text_entry("x-sluice-origin", "gateway-2"),
        text_entry("x-reply-to-topic", "answers.v1%2E2.50%25"),
        text_entry("site", "Jülich"),
        entry_of("x-mqtt-qos", AMQP_FIELD_KIND_I32, [](auto& v) { v.i32 = 2; }),
        entry_of("x-mqtt-retain", AMQP_FIELD_KIND_BOOLEAN, [](auto& v) { v.boolean = 1; }),
        entry_of("x-mqtt-payload-format", AMQP_FIELD_KIND_I32, [](auto& v) { v.i32 = 1; }),
        entry_of("x-sluice-seq", AMQP_FIELD_KIND_I64, [](auto& v) { v.i64 = 7; }),
        entry_of("small", AMQP_FIELD_KIND_I8, [](auto& v) { v.i8 = -5; }),
        entry_of("large", AMQP_FIELD_KIND_I64, [](auto& v) { v.i64 = -5'000'000'000; }),
        entry_of("real", AMQP_FIELD_KIND_F64, [](auto& v) { v.f64 = 0.5; }),
        entry_of("exact", AMQP_FIELD_KIND_DECIMAL,
                 [](auto& v) {
                     v.decimal = {2, 5};
                 }),
        entry_of("time", AMQP_FIELD_KIND_TIMESTAMP, [](auto& v) { v.u64 = 1'700'000'000; }),
        entry_of("list", AMQP_FIELD_KIND_ARRAY,
                 [&](auto& v) {
                     v.array = {list.size(), list.data()};
                 }),
        entry_of("none", AMQP_FIELD_KIND_VOID, [](auto&) {})};
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG |
                        AMQP_BASIC_EXPIRATION_FLAG | AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_REPLY_TO_FLAG |
                        AMQP_BASIC_MESSAGE_ID_FLAG;
    properties.content_type = amqp_cstring_bytes("text/plain");
    properties.correlation_id = amqp_cstring_bytes("call 9");
    properties.expiration = amqp_cstring_bytes("3600001");
    properties.reply_to = amqp_cstring_bytes("answers");
    properties.message_id = amqp_cstring_bytes("gateway-2-9");
    properties.headers = {headers.size(), headers.data()};
    AmqpClient(node_->port()).publish(place_, "open", properties);
    start();
    ASSERT_TRUE(feeder_.wait_incoming(1)) << last_problem();
    const Incoming got = incoming(0);
    EXPECT_EQ(got.route, 0U);
    EXPECT_EQ(got.source, place_);
    EXPECT_EQ(got.payload, "open");
    EXPECT_EQ(got.mqtt_topic, "plant/v1.2/cmd");
    EXPECT_EQ(got.origin, "gateway-2");
    EXPECT_EQ(got.qos, wire::QoS::exactly_once);
    EXPECT_TRUE(got.retain);
    EXPECT_EQ(got.content_type, "text/plain");
    EXPECT_EQ(got.response_topic, "answers/v1.2/50%");
    EXPECT_EQ(got.correlation_data, "call 9");
    EXPECT_EQ(got.payload_is_text, true);
    EXPECT_EQ(got.expiry_interval_s, 3601U);
    const std::vector<std::pair<std::string, std::string>> expected{
        {"amqp-message-id", "gateway-2-9"},
        {"amqp-reply-to", "answers"},
        {"site", "Jülich"},
        {"small", "-5"},
        {"large", "-5000000000"},
        {"real", "0.5"},
        {"exact", "0.05"},
        {"time", "1700000000"},
        {"list", R"([{"queue":"q\"1","count":3,"none":null},true])"},
        {"none", ""}};
    EXPECT_EQ(got.headers, expected);
}

TEST_F(AmqpDown, a_message_of_the_servers_mqtt_plugin_has_its_topic_in_the_routing_key) {
    AmqpClient(node_->port()).make_queue(place_, "amq.topic", place_ + ".#");
    std::array<amqp_table_entry_t, 2> headers{
        entry_of("x-mqtt-publish-qos", AMQP_FIELD_KIND_I8, [](auto& v) { v.i8 = 1; }),
        entry_of("x-mqtt-dup", AMQP_FIELD_KIND_BOOLEAN, [](auto& v) { v.boolean = 0; })};
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_HEADERS_FLAG;
    properties.headers = {headers.size(), headers.data()};
    AmqpClient(node_->port()).publish(place_ + ".valve.7", "open", properties, "amq.topic");
    AmqpClient(node_->port()).publish(place_ + ".valve.8", "open", {}, "amq.topic");
    start();
    ASSERT_TRUE(feeder_.wait_incoming(2)) << last_problem();
    EXPECT_EQ(incoming(0).mqtt_topic, place_ + "/valve/7");
    EXPECT_EQ(incoming(0).source, place_ + ".valve.7");
    EXPECT_EQ(incoming(0).qos, wire::QoS::at_least_once);
    EXPECT_TRUE(incoming(0).headers.empty());
    EXPECT_EQ(incoming(1).mqtt_topic, "") << "it says nothing of MQTT";
}

TEST_F(AmqpDown, our_own_upward_message_comes_back_as_it_was) {
    settings_.spec.routes.push_back({"plant/#", "test.toml:5", settings_.module->make_route_settings()});
    peer_->configure_place(settings_, place_);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/v1.2/a", "x");
    ASSERT_TRUE(feeder_.wait_incoming(1)) << last_problem();
    EXPECT_EQ(incoming(0).source, place_ + ".plant.v1%2E2.a");
    EXPECT_EQ(incoming(0).mqtt_topic, "plant/v1.2/a");
    EXPECT_EQ(incoming(0).origin, "gateway-1");
    EXPECT_EQ(incoming(0).qos, wire::QoS::at_least_once);
}

TEST_F(AmqpDown, only_what_is_settled_is_acknowledged) {
    make_queue();
    publish_numbers(5);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    ASSERT_TRUE(feeder_.wait_incoming(5)) << last_problem();
    settle(3);  // behind those that are open
    settle(0);
    settle(1);
    // The answers are out when what is published after them has come.
    publish("5");
    ASSERT_TRUE(feeder_.wait_incoming(6));
    break_connections();
    ASSERT_TRUE(feeder_.wait_incoming(9)) << last_problem();
    EXPECT_EQ(incoming(6).payload, "2");
    EXPECT_EQ(incoming(7).payload, "4");
    EXPECT_EQ(incoming(8).payload, "5");
    EXPECT_NE(incoming(6).token, incoming(2).token);
    settle(2);  // void: no answer to what has come since
    publish("6");
    ASSERT_TRUE(feeder_.wait_incoming(10));
    for (std::size_t i = 6; i < 10; ++i) settle(i);
    connector_->settle({{1'000'000, true, ""}});  // never known
    connector_->stop(milliseconds(1000));
    EXPECT_TRUE(wait_depth(0)) << depth();
}

TEST_F(AmqpDown, stop_waits_a_little_for_what_is_just_made_durable_and_the_rest_comes_again) {
    make_queue();
    publish_numbers(3);
    start();
    ASSERT_TRUE(feeder_.wait_incoming(3)) << last_problem();
    settle(0);
    const auto begin = std::chrono::steady_clock::now();
    connector_->stop(milliseconds(2000));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(1900));
    EXPECT_TRUE(wait_depth(2)) << depth();
}

TEST_F(AmqpDown, what_cannot_be_used_goes_to_the_dead_letter_exchange) {
    const std::string dead = place_ + "-dead";
    AmqpClient(node_->port()).make_queue(dead, "amq.topic", place_);
    std::array<amqp_table_entry_t, 1> arguments{text_entry("x-dead-letter-exchange", "amq.topic")};
    make_queue({arguments.size(), arguments.data()});
    settings_.down("message_bytes_max", std::int64_t{2000});
    publish_numbers(4);
    publish(std::string(2001, 'x'));
    start();
    ASSERT_TRUE(feeder_.wait_incoming(4)) << last_problem();
    settle(2, /*kept=*/false);  // alone, behind open ones
    settle(0);
    settle(1, /*kept=*/false);
    settle(3);
    Received rejected;
    std::vector<std::string> payloads;
    AmqpClient client(node_->port());
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (payloads.size() < 3 && std::chrono::steady_clock::now() < deadline)
        if (client.get(dead, rejected)) payloads.push_back(rejected.payload);
    std::sort(payloads.begin(), payloads.end());
    EXPECT_EQ(payloads, (std::vector<std::string>{"1", "2", std::string(2001, 'x')}));
    connector_->stop(milliseconds(1000));
    EXPECT_TRUE(wait_depth(0)) << depth();
    EXPECT_EQ(incoming_count(), 4U);
}

TEST_F(AmqpDown, no_more_than_the_prefetch_is_unsettled) {
    make_queue();
    publish_numbers(10);
    settings_.down("prefetch", std::int64_t{3});
    start();
    ASSERT_TRUE(feeder_.wait_incoming(3)) << last_problem();
    EXPECT_FALSE(feeder_.wait([&] { return feeder_.incoming_.size() > 3; }, milliseconds(300)));
    settle(1);
    ASSERT_TRUE(feeder_.wait_incoming(4));
    EXPECT_FALSE(feeder_.wait([&] { return feeder_.incoming_.size() > 4; }, milliseconds(300)));
}

TEST_F(AmqpDown, rows_share_what_may_be_unsettled) {
    make_queue();
    AmqpClient(node_->port()).make_queue(place_ + "-2", "", "");
    settings_.add_down();
    settings_.down("queue", place_ + "-2", 1);
    settings_.spec.down_inflight_max = 5;
    AmqpClient client(node_->port());
    for (int i = 0; i < 5; ++i) {
        client.publish(place_, "a");
        client.publish(place_ + "-2", "b");
    }
    start();
    ASSERT_TRUE(feeder_.wait_incoming(4)) << last_problem();
    EXPECT_FALSE(feeder_.wait([&] { return feeder_.incoming_.size() > 4; }, milliseconds(300)));
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(incoming(i).route, incoming(i).payload == "a" ? 0U : 1U);
    for (std::size_t i = 0; i < 4; ++i) settle(i);
    ASSERT_TRUE(feeder_.wait_incoming(8));
}

TEST_F(AmqpDown, a_missing_queue_is_told_and_waited_for_and_disturbs_no_other) {
    const std::string other = place_ + "-other";
    AmqpClient(node_->port()).make_queue(other, "", "");
    AmqpClient(node_->port()).publish(other, "x");
    settings_.add_down();
    settings_.down("queue", other, 1);
    start();
    ASSERT_TRUE(wait_problem("queue '" + place_ + "': the server closed the channel: 404 NOT_FOUND"))
        << last_problem();
    ASSERT_TRUE(feeder_.wait_incoming(1));
    EXPECT_EQ(incoming(0).route, 1U);
    ASSERT_TRUE(feeder_.wait([&] { return feeder_.sources_.size() >= 2; })) << "it was not tried again";
    make_queue();
    publish("y");
    ASSERT_TRUE(feeder_.wait_incoming(2)) << last_problem();
    EXPECT_TRUE(wait_problem(""));
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U);
}

TEST_F(AmqpDown, a_deleted_queue_is_told_and_waited_for) {
    make_queue();
    publish("0");
    start();
    ASSERT_TRUE(feeder_.wait_incoming(1)) << last_problem();
    AmqpClient(node_->port()).delete_queue(place_);
    ASSERT_TRUE(wait_problem("queue '" + place_ + "': ")) << last_problem();
    settle(0);  // its channel has ended: to acknowledge it on the next one would be an error
    make_queue();
    publish("1");
    ASSERT_TRUE(feeder_.wait_incoming(2)) << last_problem();
    EXPECT_EQ(incoming(1).payload, "1");
    settle(1);
    EXPECT_TRUE(wait_problem(""));
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U) << last_down();
}

TEST_F(AmqpDown, a_queue_is_made_and_bound_when_it_is_asked_for) {
    AmqpClient(node_->port()).make_queue(place_ + "-dead", "amq.topic", place_ + "-gateway-1");
    settings_.down("queue", place_ + "-{origin}");
    settings_.down("declare", true);
    settings_.down("queue_type", std::int64_t{2});
    settings_.down("dead_letter_exchange", std::string("amq.topic"));
    settings_.down("binding_keys", std::vector<std::string>{place_ + ".{origin}.#", place_ + ".all"});
    start();
    ASSERT_TRUE(wait_problem("")) << last_problem();
    AmqpClient client(node_->port());
    client.publish(place_ + ".gateway-1.valve", "0", {}, "amq.topic");
    client.publish(place_ + ".gateway-2.valve", "not ours", {}, "amq.topic");
    client.publish(place_ + ".all", "1", {}, "amq.topic");
    ASSERT_TRUE(feeder_.wait_incoming(2));
    EXPECT_EQ(incoming(0).payload, "0");
    EXPECT_EQ(incoming(1).payload, "1");
    const std::string queues = peer_->ask("ctl list_queues name type durable arguments --formatter json");
    EXPECT_NE(queues.find(place_ + "-gateway-1"), std::string::npos) << queues;
    EXPECT_NE(queues.find("quorum"), std::string::npos) << queues;
    // In the next life it is there, with arguments of its own.
    connector_->stop(milliseconds(100));
    settings_.down("queue_type", std::int64_t{1});
    start();
    ASSERT_TRUE(feeder_.wait_incoming(4)) << last_problem();
    EXPECT_TRUE(wait_problem("")) << last_problem();
}

TEST_F(AmqpDown, a_node_that_dies_and_comes_back_sends_the_unsettled_again) {
    make_queue();
    amqp_basic_properties_t persistent{};
    persistent._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    persistent.delivery_mode = 2;
    AmqpClient(node_->port()).publish(place_, "0", persistent);
    AmqpClient(node_->port()).publish(place_, "1", persistent);
    peer_->settle();
    start();
    ASSERT_TRUE(feeder_.wait_incoming(2)) << last_problem();
    peer_->down();
    ASSERT_TRUE(feeder_.wait([&] { return !feeder_.sources_.empty() && !feeder_.sources_.back().empty(); }));
    EXPECT_TRUE(feeder_.wait_down());
    peer_->up();
    ASSERT_TRUE(feeder_.wait_incoming(4)) << last_problem();
    EXPECT_EQ(incoming(2).payload, "0");
    EXPECT_TRUE(feeder_.wait_up());
    EXPECT_TRUE(wait_problem("")) << last_problem();
}

TEST_F(AmqpDown, a_frozen_node_is_noticed) {
    make_queue();
    start();
    ASSERT_TRUE(wait_problem("")) << last_problem();
    peer_->freeze();
    const bool noticed =
        feeder_.wait([&] { return !feeder_.sources_.back().empty(); }, std::chrono::seconds(20));
    const auto begin = std::chrono::steady_clock::now();
    connector_->stop(milliseconds(300));  // while it connects to a node that does not answer
    const auto took = std::chrono::steady_clock::now() - begin;
    peer_->thaw();
    EXPECT_TRUE(noticed) << "nobody missed the heartbeats";
    EXPECT_LT(took, milliseconds(2300));
}

TEST_F(AmqpDown, stop_returns_while_the_node_is_frozen) {
    settings_.bridge("heartbeat", std::int64_t{60'000});  // it will not help
    make_queue();
    publish_numbers(3);
    start();
    ASSERT_TRUE(feeder_.wait_incoming(3)) << last_problem();
    peer_->freeze();
    settle(0);
    const auto begin = std::chrono::steady_clock::now();
    connector_->stop(milliseconds(300));
    const auto took = std::chrono::steady_clock::now() - begin;
    peer_->thaw();
    EXPECT_LT(took, milliseconds(2300));
}

TEST_F(AmqpDown, a_server_that_blocks_publishers_still_sends_commands) {
    settings_.spec.routes.push_back({"plant/#", "test.toml:5", settings_.module->make_route_settings()});
    peer_->configure_place(settings_, place_ + "-up");
    settings_.down("prefetch", std::int64_t{1});
    make_queue();
    publish_numbers(5);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    ASSERT_TRUE(feeder_.wait_incoming(1)) << last_problem();
    ASSERT_EQ(peer_->ask("ctl set_vm_memory_high_watermark 0.00001").substr(0, 2), "ok");
    for (int i = 0; i < 50; ++i) feeder_.publish_text(0, "plant/a", std::to_string(i));
    const bool blocked = feeder_.wait([&] {
        return !feeder_.stalls_.empty() &&
               feeder_.stalls_.back().find("blocks publishing") != std::string::npos;
    });
    bool came = blocked;
    for (std::size_t i = 0; came && i < 5; ++i) {
        came = feeder_.wait([&] { return feeder_.incoming_.size() > i; }, std::chrono::seconds(10));
        if (came) settle(i);
    }
    const std::string still = feeder_.read([&] { return feeder_.stalls_.back(); });
    ASSERT_EQ(peer_->ask("ctl set_vm_memory_high_watermark 0.4").substr(0, 2), "ok");
    ASSERT_TRUE(blocked);
    EXPECT_TRUE(came) << "the commands waited with the publisher";
    EXPECT_NE(still.find("blocks publishing"), std::string::npos) << "it was over before";
    EXPECT_TRUE(feeder_.wait_confirmed(50)) << last_down();
}

TEST_F(AmqpDown, create_names_what_is_wrong) {
    settings_.down("queue", std::string("commands.{topic}"));
    EXPECT_EQ(create_error(),
              "test.toml:7: queue: 'commands.{topic}' would be another one for each message; expected no "
              "placeholder but {origin}");
    settings_.down("queue", std::string(256, 'q'));
    EXPECT_EQ(create_error(), "test.toml:7: queue: has 256 bytes; expected at most 255");
    settings_.down("queue", std::string());
    EXPECT_EQ(create_error(), "test.toml:7: queue: is empty; expected the name of a queue");
    settings_.down("queue", std::string("commands.{origin}"));
    settings_.down("binding_keys", std::vector<std::string>{"a.#"});
    EXPECT_EQ(create_error(),
              "test.toml:7: binding_keys: have no meaning here; expected declare = true beside them");
    settings_.down("declare", true);
    EXPECT_EQ(create_error(), "");
    settings_.down("exchange", std::string());
    EXPECT_EQ(create_error(),
              "test.toml:7: exchange: is empty; expected a name, for nothing is bound to the default "
              "exchange");
    settings_.down("exchange", std::string("amq.topic"));
    settings_.down("prefetch", std::int64_t{2000});
    EXPECT_EQ(create_error(),
              "test.toml:1: down_inflight_max: is 1000, and the rows of [[bridge.down]] prefetch at least "
              "2000 messages; expected no less than that");
}

}  // namespace
}  // namespace sluice::bridge::test
