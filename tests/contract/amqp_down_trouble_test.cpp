/// Queues that come and go, servers in trouble, and what is wrong in the settings of the way down.
#include "tests/contract/amqp_down_fixture.hpp"

namespace sluice::bridge::test {
namespace {

using AmqpDownTrouble = AmqpDownFixture;

TEST_F(AmqpDownTrouble, a_missing_queue_is_told_and_waited_for_and_disturbs_no_other) {
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

TEST_F(AmqpDownTrouble, large_messages_wait_at_the_server_and_the_connection_stays) {
    make_queue();
    publish_large(40);
    start();
    ASSERT_TRUE(feeder_.wait_incoming(8)) << last_problem();
    feeder_.wait([] { return false; }, milliseconds(4500));  // more than twice the heartbeat
    EXPECT_EQ(incoming_count(), 8U);
    for (std::size_t i = 0; i < 40; ++i) {
        ASSERT_TRUE(feeder_.wait_incoming(i + 1)) << last_problem();
        EXPECT_LE(incoming_count(), i + 8);
        EXPECT_EQ(incoming(i).payload.substr(0, 3), (std::to_string(i) + "-x").substr(0, 3));
        settle(i);
    }
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U) << last_down();
    EXPECT_EQ(feeder_.read([&] { return feeder_.sources_.size(); }), 1U) << last_problem();
    connector_->stop(milliseconds(300));
    EXPECT_TRUE(wait_depth(0));
}

TEST_F(AmqpDownTrouble, large_messages_that_come_again_wait_until_there_is_room) {
    make_queue();
    publish_large(20);
    peer_->settle();
    start();
    ASSERT_TRUE(feeder_.wait_incoming(8)) << last_problem();
    peer_->down();
    ASSERT_TRUE(feeder_.wait([&] { return feeder_.sources_.size() >= 2; })) << "the loss was not noticed";
    peer_->up();
    ASSERT_TRUE(wait_problem("")) << last_problem();
    feeder_.wait([] { return false; }, milliseconds(1500));
    EXPECT_EQ(incoming_count(), 8U) << "the bridge still has the others";
    for (std::size_t i = 0; i < 28; ++i) {
        ASSERT_TRUE(feeder_.wait_incoming(i + 1)) << last_problem();
        settle(i);
    }
    connector_->stop(milliseconds(300));
    EXPECT_TRUE(wait_depth(0));
}

TEST_F(AmqpDownTrouble, a_deleted_queue_is_told_and_waited_for) {
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

TEST_F(AmqpDownTrouble, a_queue_is_made_and_bound_when_it_is_asked_for) {
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

TEST_F(AmqpDownTrouble, a_node_that_dies_and_comes_back_sends_the_unsettled_again) {
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

TEST_F(AmqpDownTrouble, a_frozen_node_is_noticed) {
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

TEST_F(AmqpDownTrouble, stop_returns_while_the_node_is_frozen) {
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

TEST_F(AmqpDownTrouble, a_server_that_blocks_publishers_still_sends_commands) {
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

TEST_F(AmqpDownTrouble, create_names_what_is_wrong) {
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
