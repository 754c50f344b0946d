/// What operators do to bridges, with sluicectl: pause and resume, and dead letters.
#include "tests/system/bridge_fixture.hpp"

namespace sluice::test {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

class BridgeControl : public BridgeFixture {
  protected:
    /// A route that refuses what is no JSON.
    std::string strict(const std::string& more = {}) const {
        return head() + file_bridge("plant", more) + route("plant/#", "payload = \"json\"");
    }
    std::string lenient(const std::string& more = {}) const {
        return head() + file_bridge("plant", more) + route("plant/#", "payload = \"text\"");
    }
    void start(const std::string& config) { ASSERT_TRUE(broker_.start(config)) << broker_.log(); }
};

TEST_F(BridgeControl, what_comes_while_paused_waits_and_leaves_in_order_after_it) {
    upstream_up("plant");
    start(lenient());
    publish("plant/a", "0");
    ASSERT_TRUE(has_payloads("plant", {"0"})) << told("plant");
    const auto paused = ctl({"bridge", "pause", "plant"});
    EXPECT_EQ(paused.exit_code, 0) << paused.err;
    std::vector<std::string> expected{"0"};
    for (int i = 1; i <= 50; ++i) {
        publish("plant/a", std::to_string(i));
        expected.push_back(std::to_string(i));
    }
    EXPECT_TRUE(reaches("plant", "spool_messages", 50)) << told("plant");
    EXPECT_THAT(ctl({"bridge", "list"}).out, HasSubstr("paused"));
    EXPECT_EQ(payloads("plant").size(), 1U);
    // A reload of other settings does not resume it.
    reload(lenient("[bridge.spool]\nage_max = \"1d\"\n"));
    EXPECT_THAT(count_in_log("is exchanged"), 1U) << broker_.log();
    EXPECT_TRUE(reaches("plant", "state", "paused")) << told("plant");
    publish("plant/a", "51");
    expected.emplace_back("51");
    EXPECT_TRUE(reaches("plant", "spool_messages", 51)) << told("plant");
    EXPECT_EQ(payloads("plant").size(), 1U);
    EXPECT_EQ(ctl({"bridge", "resume", "plant"}).exit_code, 0);
    EXPECT_TRUE(has_payloads("plant", expected)) << told("plant");
    EXPECT_TRUE(reaches("plant", "spool_messages", 0)) << told("plant");
    EXPECT_TRUE(reaches("plant", "state", "connected")) << told("plant");
}

TEST_F(BridgeControl, a_start_resumes_and_a_pause_may_begin_while_the_upstream_is_down) {
    start(lenient());
    EXPECT_EQ(ctl({"bridge", "pause", "plant"}).exit_code, 0);
    publish("plant/a", "1");
    upstream_up("plant");
    ASSERT_TRUE(broker_.wait_for_log("bridge 'plant': connected")) << broker_.log();
    publish("plant/a", "2");
    EXPECT_TRUE(reaches("plant", "spool_messages", 2)) << told("plant");
    EXPECT_EQ(status("plant")["state"], "paused");
    EXPECT_TRUE(payloads("plant").empty());
    broker_.kill();
    client_.close();
    start(lenient());
    EXPECT_TRUE(has_payloads("plant", {"1", "2"})) << told("plant");
    EXPECT_EQ(ctl({"bridge", "pause", "nobody"}).exit_code, 1);
    EXPECT_EQ(ctl({"bridge", "resume", "plant"}).exit_code, 0) << "which it is";
}

TEST_F(BridgeControl, what_is_refused_for_good_lies_with_the_dead_letters_and_holds_nobody_up) {
    upstream_up("plant");
    start(strict());
    const std::string bytes("no json\0\n\xff {", 12);
    publish("plant/a", bytes);
    publish("plant/a", "1");
    EXPECT_TRUE(has_payloads("plant", {"1"})) << told("plant");
    EXPECT_TRUE(reaches("plant", "dead", 1)) << told("plant");
    EXPECT_EQ(status("plant")["refused"], 1);
    EXPECT_EQ(status("plant")["spool_messages"], 0);
    const auto list = ctl({"dead", "list", "plant"});
    EXPECT_EQ(list.exit_code, 0) << list.err;
    EXPECT_THAT(list.out, HasSubstr("JSON"));
    EXPECT_THAT(list.out, HasSubstr("plant/a"));
    ASSERT_EQ(dead_ids("plant").size(), 1U);
    const std::string id = dead_ids("plant")[0];
    EXPECT_EQ(ctl({"dead", "show", "plant", id, "--raw"}).out, bytes);
    const json whole = asked({"dead", "show", "plant", id});
    EXPECT_EQ(whole["client_id"], "pump");
    EXPECT_EQ(whole["route"], "plant.#");
    EXPECT_EQ(whole["properties"], json::array());
    EXPECT_EQ(ctl({"dead", "show", "plant", "7"}).exit_code, 1);
    EXPECT_EQ(ctl({"dead", "drop", "plant", "7"}).exit_code, 1);

    // It survives an orderly end, and one that is not.
    for (const bool orderly : {true, false}) {
        client_.close();
        if (orderly) {
            EXPECT_TRUE(broker_.stop()) << broker_.log();
        } else {
            broker_.kill();
        }
        start(strict());
        EXPECT_TRUE(reaches("plant", "dead", 1)) << told("plant");
        EXPECT_THAT(dead_ids("plant"), ElementsAre(id));
        EXPECT_EQ(ctl({"dead", "show", "plant", id, "--raw"}).out, bytes);
    }
    EXPECT_EQ(payloads("plant").size(), 1U) << "it is not tried again by itself";
    EXPECT_EQ(asked({"dead", "drop", "plant", "--all"})["dropped"], 1);
    EXPECT_TRUE(reaches("plant", "dead", 0)) << told("plant");
    EXPECT_TRUE(dead_ids("plant").empty());
    EXPECT_TRUE(broker_.stop());
    start(strict());
    EXPECT_TRUE(dead_ids("plant").empty());
}

TEST_F(BridgeControl, a_retry_delivers_once_the_reason_is_gone) {
    upstream_up("plant");
    start(strict());
    for (int i = 0; i < 30; ++i) publish("plant/" + std::to_string(i), "no json " + std::to_string(i));
    ASSERT_TRUE(reaches("plant", "dead", 30)) << told("plant");
    // The reason is still there: each is tried once, and lies there again.
    EXPECT_EQ(asked({"dead", "retry", "plant", "--all"})["retried"], 30);
    ASSERT_TRUE(reaches("plant", "refused", 60)) << told("plant");
    ASSERT_TRUE(reaches("plant", "dead", 30)) << told("plant");
    EXPECT_EQ(status("plant")["refused"], 60) << "no more than once";
    const auto ids = dead_ids("plant");
    ASSERT_EQ(ids.size(), 30U);

    reload(lenient());
    ASSERT_TRUE(reaches("plant", "state", "connected")) << told("plant");
    EXPECT_THAT(dead_ids("plant"), ::testing::ElementsAreArray(ids));
    EXPECT_EQ(asked({"dead", "retry", "plant", ids[3], ids[7]})["retried"], 2);
    EXPECT_TRUE(reaches("plant", "dead", 28)) << told("plant");
    EXPECT_EQ(ctl({"dead", "retry", "plant", ids[3]}).exit_code, 1) << "it is gone";
    EXPECT_EQ(asked({"dead", "retry", "plant", "--all"})["retried"], 28);
    EXPECT_TRUE(eventually([&] { return payloads("plant").size() == 30; })) << told("plant");
    const auto all = payloads("plant");
    EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 30U);
    EXPECT_TRUE(reaches("plant", "dead", 0)) << told("plant");
    EXPECT_TRUE(reaches("plant", "spool_messages", 0)) << told("plant");
    EXPECT_FALSE(lines("plant")[0].contains("user_properties")) << lines("plant")[0].dump();
}

TEST_F(BridgeControl, dead_letters_push_the_oldest_out) {
    upstream_up("plant");
    start(strict("[bridge.dead]\nmessages_max = 6\n"));  // three on each of two shards
    for (int i = 0; i < 20; ++i) publish("plant/a", "no json " + std::to_string(i));
    // All of them entered on the shard of their publisher.
    ASSERT_TRUE(reaches("plant", "refused", 20)) << told("plant");
    ASSERT_TRUE(reaches("plant", "dead", 3)) << told("plant");
    EXPECT_TRUE(reaches("plant", "dead_dropped", 17)) << told("plant");
    std::vector<std::string> left;
    for (const std::string& id : dead_ids("plant"))
        left.push_back(ctl({"dead", "show", "plant", id, "--raw"}).out);
    EXPECT_THAT(left, ElementsAre("no json 17", "no json 18", "no json 19"));
    EXPECT_EQ(asked({"dead", "drop", "plant", "--all"})["dropped"], 3);
    EXPECT_TRUE(reaches("plant", "dead", 0)) << told("plant");

    // None are kept: those that are refused are dropped, and commands find none.
    reload(strict("[bridge.dead]\nmessages_max = 0\n"));
    publish("plant/a", "no json");
    ASSERT_TRUE(reaches("plant", "refused", 1)) << told("plant");
    EXPECT_EQ(status("plant")["dead"], 0);
    EXPECT_TRUE(dead_ids("plant").empty());
    EXPECT_EQ(asked({"dead", "drop", "plant", "--all"})["dropped"], 0);
}

TEST_F(BridgeControl, dead_letters_of_more_shards_than_now_are_still_there) {
    upstream_up("plant");
    const std::string more = file_bridge("plant") + route("plant/#", "payload = \"json\"");
    start(head(4) + more);
    for (int i = 0; i < 8; ++i) {
        MqttClient one;  // each on a shard of its own
        ASSERT_TRUE(one.connect(broker_.port(), {.client_id = "pump-" + std::to_string(i)}));
        one.publish("plant/a", "no json " + std::to_string(i), wire::QoS::at_least_once, 1);
        ASSERT_TRUE(one.receive());
    }
    ASSERT_TRUE(reaches("plant", "dead", 8)) << told("plant");
    EXPECT_TRUE(broker_.stop());
    start(head(1) + more);
    EXPECT_TRUE(reaches("plant", "dead", 8)) << told("plant");
    EXPECT_EQ(dead_ids("plant").size(), 8U);
    EXPECT_EQ(asked({"bridge", "leftovers"})["spools"], json::array());
    reload(head(1) + file_bridge("plant") + route("plant/#", "payload = \"text\""));
    EXPECT_TRUE(reaches("plant", "dead", 8)) << told("plant");
    EXPECT_EQ(asked({"dead", "retry", "plant", "--all"})["retried"], 8);
    EXPECT_TRUE(eventually([&] { return payloads("plant").size() == 8; })) << told("plant");
    EXPECT_TRUE(reaches("plant", "dead", 0)) << told("plant");
}

TEST_F(BridgeControl, a_letter_whose_route_is_gone_stays_and_the_others_go) {
    upstream_up("plant");
    const std::string strict_routes = route("plant/#", "name = \"one\"\npayload = \"json\"") +
                                      route("other/#", "name = \"two\"\npayload = \"json\"");
    start(head() + file_bridge("plant") + strict_routes);
    publish("plant/a", "first");
    publish("other/a", "second");
    ASSERT_TRUE(reaches("plant", "dead", 2)) << told("plant");
    reload(head() + file_bridge("plant") + route("other/#", "name = \"two\"\npayload = \"text\""));
    ASSERT_TRUE(reaches("plant", "dead", 2)) << told("plant");
    const auto retried = ctl({"dead", "retry", "plant", "--all"});
    EXPECT_EQ(retried.exit_code, 1) << retried.out;
    EXPECT_THAT(retried.err, HasSubstr("no route 'one'"));
    EXPECT_TRUE(has_payloads("plant", {"second"})) << told("plant");
    EXPECT_TRUE(reaches("plant", "dead", 1)) << told("plant");
    EXPECT_THAT(ctl({"dead", "list", "plant"}).out, HasSubstr("plant/a"));
}

TEST_F(BridgeControl, whoever_waits_for_the_upstream_hears_of_a_refusal) {
    upstream_up("plant");
    start(head() + file_bridge("plant") + route("plant/#", "payload = \"json\"\nack = \"upstream\""));
    publish("plant/a", "1");
    publish("plant/a", "no json", wire::ReasonCode::implementation_specific_error);
    publish("plant/a", "2");
    EXPECT_EQ(payloads("plant"), (std::vector<std::string>{"1", "2"})) << "confirmed before the PUBACK";
    EXPECT_TRUE(reaches("plant", "dead", 1)) << told("plant");
    EXPECT_TRUE(reaches("plant", "spool_messages", 0)) << told("plant");
}

TEST_F(BridgeControl, a_route_that_is_full_is_named) {
    start(head() + file_bridge("plant", "[bridge.spool]\nmessages_max = 40\n") +
          route("plant/#", "name = \"telemetry\"") + route("other/#", "name = \"other\""));
    ASSERT_TRUE(broker_.wait_for_log("bridge 'plant': not connected")) << broker_.log();
    publish("other/a", "0");
    for (int i = 0; i < 9; ++i) publish("plant/a", std::to_string(i));
    EXPECT_TRUE(reaches("plant", "spool_messages", 10)) << told("plant");
    EXPECT_EQ(status("plant")["state"], "connecting") << told("plant");
    publish("plant/a", "9");  // ten: a quarter, for two routes on two shards
    EXPECT_TRUE(reaches("plant", "state", "full")) << told("plant");
    EXPECT_THAT(status("plant")["reason"].get<std::string>(), ::testing::StartsWith("route 'telemetry': "));
    EXPECT_THAT(ctl({"health"}).out, HasSubstr("route 'telemetry'"));
    upstream_up("plant");
    EXPECT_TRUE(reaches("plant", "state", "connected")) << told("plant");
    EXPECT_EQ(status("plant")["reason"], "");
}

TEST_F(BridgeControl, last_value_keeps_one_message_a_topic_while_the_upstream_is_down) {
    start(head() + file_bridge("plant") + route("plant/#", "keep = \"last_value\"\npayload = \"text\""));
    ASSERT_TRUE(broker_.wait_for_log("bridge 'plant': not connected")) << broker_.log();
    for (int i = 0; i < 1000; ++i) publish("plant/" + std::to_string(i % 10), std::to_string(i));
    EXPECT_TRUE(reaches("plant", "spool_messages", 10)) << told("plant");
    EXPECT_EQ(status("plant")["replaced"], 990) << told("plant");
    EXPECT_EQ(status("plant")["in_messages"], 1000) << told("plant");
    EXPECT_LT(status("plant")["spool_bytes"], 2000) << told("plant");
    // Another life of the bridge knows them still, those of a reload.
    reload(head() + file_bridge("plant") +
           route("plant/#", "keep = \"last_value\"\npayload = \"text\"\nheaders = false"));
    for (int i = 1000; i < 1010; ++i) publish("plant/" + std::to_string(i % 10), std::to_string(i));
    EXPECT_TRUE(reaches("plant", "spool_messages", 10)) << told("plant");
    upstream_up("plant");
    std::vector<std::string> last;
    for (int i = 1000; i < 1010; ++i) last.push_back(std::to_string(i));
    EXPECT_TRUE(has_payloads("plant", last)) << told("plant");
    // While it is up, all go.
    for (int i = 0; i < 5; ++i) publish("plant/0", "up " + std::to_string(i));
    for (int i = 0; i < 5; ++i) last.push_back("up " + std::to_string(i));
    EXPECT_TRUE(has_payloads("plant", last)) << told("plant");
    EXPECT_TRUE(reaches("plant", "spool_messages", 0)) << told("plant");
}

}  // namespace
}  // namespace sluice::test
