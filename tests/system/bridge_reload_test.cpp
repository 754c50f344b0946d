/// Bridges that a reload adds, takes away and exchanges while messages come, and what is left of them.
#include <atomic>

#include "tests/system/bridge_fixture.hpp"
#include "tests/system/load_publisher.hpp"

namespace sluice::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using wire::QoS;

class BridgeReload : public BridgeFixture {
  protected:
    void start(const std::string& config) { ASSERT_TRUE(broker_.start(config)) << broker_.log(); }

    /// Numbers that publishers have sent, of one topic, in all files of a bridge.
    std::set<std::uint64_t> numbers(const std::string& bridge, const std::string& topic) const {
        std::set<std::uint64_t> all;
        for (const auto& entry : std::filesystem::directory_iterator(files_of(bridge)))
            for (const json& line : lines(bridge, entry.path().stem().string()))
                if (line["topic"] == topic)
                    all.insert(std::strtoull(line["payload"].get<std::string>().c_str(), nullptr, 10));
        return all;
    }
    static std::size_t missing(const LoadPublisher& publisher, const std::set<std::uint64_t>& got) {
        return static_cast<std::size_t>(
            std::count_if(publisher.acknowledged().begin(), publisher.acknowledged().end(),
                          [&](std::uint64_t number) { return !got.contains(number); }));
    }
    json leftovers() const { return asked({"bridge", "leftovers"})["spools"]; }
};

TEST_F(BridgeReload, nothing_acknowledged_is_lost_and_others_do_not_notice) {
    // With rights: a bridge has none of its own, and needs none at any time.
    const auto acl = folder_.path() / "acl";
    std::ofstream(acl) << "pattern write load/%c\n";
    const std::string begin = head() + fmt::format("[auth]\nacl_file = \"{}\"\n", acl.string());
    for (const char* name : {"stays", "changes", "comes"}) upstream_up(name);
    const auto text = [](const std::string& file) {
        return "payload = \"text\"\nfile = \"" + file + "\"\nname = \"all\"";
    };
    const std::string stays = file_bridge("stays") + route("load/#", text("stays"));
    start(begin + stays + file_bridge("changes") + route("load/#", text("first")));
    ASSERT_TRUE(reaches("stays", "state", "connected")) << told("stays");
    ASSERT_TRUE(reaches("changes", "state", "connected")) << told("changes");

    std::deque<LoadPublisher> publishers;
    for (int i = 0; i < 4; ++i) {
        const std::string id = "p" + std::to_string(i);
        publishers.emplace_back(id, "load/" + id, QoS::at_least_once);
        ASSERT_TRUE(publishers.back().connect(broker_.port()));
    }
    std::atomic<bool> done{false};
    std::vector<std::thread> threads;
    for (LoadPublisher& publisher : publishers)
        threads.emplace_back([&] {
            while (!done) publisher.run(std::chrono::milliseconds(50), 2000);
        });
    for (int i = 0; i < 6; ++i) {
        reload(begin + stays + file_bridge("changes") + route("load/#", text("file" + std::to_string(i))));
        // Another bridge comes, and goes.
        reload(begin + stays + file_bridge("changes") + route("load/#", text("again" + std::to_string(i))) +
               (i % 2 == 0 ? file_bridge("comes") + route("load/p0", text("comes")) : ""));
    }
    done = true;
    for (std::thread& thread : threads) thread.join();
    for (LoadPublisher& publisher : publishers) {
        EXPECT_TRUE(publisher.finish(MqttClient::patience));
        const std::string topic = "load/" + publisher.client_id();
        EXPECT_GT(publisher.acknowledged().size(), 100U);
        for (const char* bridge : {"stays", "changes"})
            EXPECT_TRUE(eventually([&] { return missing(publisher, numbers(bridge, topic)) == 0; }))
                << bridge << ' ' << topic << " lacks " << missing(publisher, numbers(bridge, topic)) << " of "
                << publisher.acknowledged().size() << '\n'
                << told(bridge);
        publisher.disconnect();
    }
    EXPECT_EQ(count_in_log("bridge 'stays': connected"), 1U) << broker_.log();
    EXPECT_EQ(count_in_log("bridge 'changes': connected"), 13U) << broker_.log();
    EXPECT_EQ(status("stays")["redelivered"], 0) << told("stays");
    EXPECT_TRUE(broker_.stop()) << broker_.log();
}

TEST_F(BridgeReload, a_removed_route_keeps_its_backlog_until_it_comes_back_or_is_forgotten) {
    const std::string one = route("one/#", "payload = \"text\"\nfile = \"one\"");
    const std::string two = route("two/#", "payload = \"text\"\nfile = \"two\"");
    const std::string bridge = head() + file_bridge("plant");
    start(bridge + one + two);
    for (int i = 0; i < 5; ++i) {
        publish("one/a", std::to_string(i));
        publish("two/a", std::to_string(i));
    }
    ASSERT_TRUE(reaches("plant", "spool_messages", 10)) << told("plant");
    EXPECT_EQ(leftovers(), json::array());
    const auto in_use = ctl({"bridge", "forget", "plant", "--route", "two.#"});
    EXPECT_EQ(in_use.exit_code, 1) << in_use.out;
    EXPECT_THAT(in_use.err, HasSubstr("in use"));
    EXPECT_EQ(ctl({"bridge", "forget", "plant", "--all"}).exit_code, 1);

    reload(bridge + one);
    ASSERT_TRUE(reaches("plant", "spool_messages", 5)) << told("plant");
    publish("two/a", "for nobody", wire::ReasonCode::no_matching_subscribers);
    ASSERT_EQ(leftovers().size(), 1U) << leftovers().dump();
    EXPECT_EQ(leftovers()[0]["bridge"], "plant");
    EXPECT_EQ(leftovers()[0]["route"], "two.#");
    EXPECT_EQ(leftovers()[0]["messages"], 5);
    EXPECT_EQ(ctl({"bridge", "forget", "plant", "--route", "one.#"}).exit_code, 1);
    EXPECT_EQ(ctl({"bridge", "forget", "plant", "--route", "nothing"}).exit_code, 1);

    // A restart changes nothing of that.
    client_.close();
    EXPECT_TRUE(broker_.stop());
    start(bridge + one);
    publish("two/a", "for nobody", wire::ReasonCode::no_matching_subscribers);
    EXPECT_EQ(leftovers()[0]["messages"], 5) << leftovers().dump();

    reload(bridge + one + two);
    EXPECT_EQ(leftovers(), json::array());
    EXPECT_TRUE(reaches("plant", "spool_messages", 10)) << told("plant");
    publish("two/a", "5");
    upstream_up("plant");
    EXPECT_TRUE(has_payloads("plant", {"0", "1", "2", "3", "4", "5"}, "two")) << told("plant");
    EXPECT_TRUE(has_payloads("plant", {"0", "1", "2", "3", "4"}, "one")) << told("plant");

    ctl({"bridge", "pause", "plant"});
    publish("two/a", "6");
    reload(bridge + one);
    EXPECT_EQ(asked({"bridge", "forget", "plant", "--route", "two.#"})["forgotten"], 1);
    EXPECT_EQ(leftovers(), json::array());
    reload(bridge + one + two);
    ctl({"bridge", "resume", "plant"});
    publish("two/a", "7");
    EXPECT_TRUE(has_payloads("plant", {"0", "1", "2", "3", "4", "5", "7"}, "two")) << told("plant");
}

TEST_F(BridgeReload, a_removed_bridge_keeps_its_backlog_also_at_a_start) {
    const std::string other = file_bridge("other") + route("plant/#");
    const std::string plant = file_bridge("plant") + route("plant/#", "payload = \"json\"");
    upstream_up("other");
    upstream_up("plant");
    start(head() + other + plant);
    publish("plant/a", "no json");
    ASSERT_TRUE(reaches("plant", "dead", 1)) << told("plant");
    ctl({"bridge", "pause", "plant"});
    publish("plant/a", "1");
    client_.close();
    EXPECT_TRUE(broker_.stop());
    start(head() + other);
    EXPECT_EQ(ctl({"bridge", "show", "plant"}).exit_code, 1);
    publish("plant/a", "2");
    EXPECT_TRUE(has_payload("other", "2")) << told("other");
    std::size_t messages = 0;
    for (const json& spool : leftovers()) messages += spool["messages"].get<std::size_t>();
    EXPECT_EQ(messages, 2U) << leftovers().dump() << " one waits, one is a dead letter";
    EXPECT_THAT(broker_.log(), HasSubstr("no bridge has this spool any more"));

    reload(head() + other + plant);
    EXPECT_TRUE(has_payloads("plant", {"1"})) << told("plant");
    EXPECT_TRUE(reaches("plant", "dead", 1)) << told("plant");
    reload(head() + other);
    EXPECT_EQ(asked({"bridge", "forget", "plant", "--all"})["forgotten"], 1);
    EXPECT_EQ(leftovers(), json::array());
    EXPECT_EQ(ctl({"bridge", "forget", "plant", "--all"}).exit_code, 1);
    EXPECT_EQ(ctl({"bridge", "forget", "other", "--all"}).exit_code, 1);
    reload(head() + other + plant);
    EXPECT_TRUE(reaches("plant", "state", "connected")) << told("plant");
    EXPECT_EQ(status("plant")["dead"], 0);
}

TEST_F(BridgeReload, a_bad_bridge_leaves_the_old_one_running) {
    upstream_up("plant");
    const std::string good = head() + file_bridge("plant") + route("plant/#", "payload = \"text\"");
    start(good);
    publish("plant/a", "1");
    ASSERT_TRUE(has_payloads("plant", {"1"})) << told("plant");
    // What only the connector finds: the template of a file name.
    EXPECT_THAT(
        reload(head() + file_bridge("plant") + route("plant/#", "payload = \"text\"\nfile = \"{nothing}\"")),
        HasSubstr("the old settings of this bridge stay in force"));
    publish("plant/a", "2");
    // And what the settings do not allow.
    broker_.write_config(head() + file_bridge("plant", "nothing = 1\n") + route("plant/#"));
    broker_.signal(SIGHUP);
    ASSERT_TRUE(broker_.wait_for_log("reload: nothing was changed")) << broker_.log();
    publish("plant/a", "3");
    EXPECT_TRUE(has_payloads("plant", {"1", "2", "3"})) << told("plant");
    EXPECT_EQ(count_in_log("bridge 'plant': connected"), 1U) << broker_.log();
    // The same again is no change.
    reload(good);
    EXPECT_EQ(count_in_log("bridge 'plant': connected"), 1U) << broker_.log();
}

TEST_F(BridgeReload, a_route_may_have_the_number_of_another_as_its_name) {
    const std::string text = "payload = \"text\"\n";
    const std::string config = head() + file_bridge("plant") +
                               route("one/#", text + "name = \"1\"\nfile = \"one\"") +
                               route("two/#", text + "name = \"0\"\nfile = \"two\"");
    start(config);
    publish("one/a", "1");
    publish("two/a", "2");
    client_.close();
    EXPECT_TRUE(broker_.stop());
    start(config);
    publish("one/a", "3");
    publish("two/a", "4");
    upstream_up("plant");
    EXPECT_TRUE(has_payloads("plant", {"1", "3"}, "one")) << told("plant");
    EXPECT_TRUE(has_payloads("plant", {"2", "4"}, "two")) << told("plant");
}

TEST_F(BridgeReload, what_is_changed_while_many_commands_come_is_answered) {
    upstream_up("plant");
    const auto config = [&](int i) {
        return head() + file_bridge("plant") +
               route("plant/#", "payload = \"json\"\nname = \"all\"\nfile = \"f" + std::to_string(i) + "\"");
    };
    start(config(0));
    for (int i = 0; i < 20; ++i) publish("plant/a", "no json");
    ASSERT_TRUE(reaches("plant", "dead", 20)) << told("plant");
    std::atomic<bool> done{false};
    std::atomic<int> slow{0}, listed{0};
    std::thread operators([&] {
        while (!done) {
            const auto begin = std::chrono::steady_clock::now();
            const auto list = ctl({"dead", "list", "plant"});
            if (std::chrono::steady_clock::now() - begin > std::chrono::seconds(4)) ++slow;
            if (list.exit_code == 0) ++listed;
        }
    });
    for (int i = 1; i <= 10; ++i) reload(config(i));
    done = true;
    operators.join();
    EXPECT_EQ(slow, 0) << "a question that nobody answers";
    EXPECT_GT(listed, 0);
    EXPECT_TRUE(reaches("plant", "dead", 20)) << told("plant");
    EXPECT_EQ(dead_ids("plant").size(), 20U);
    EXPECT_EQ(asked({"dead", "drop", "plant", "--all"})["dropped"], 20);
    EXPECT_TRUE(reaches("plant", "dead", 0)) << told("plant");
}

TEST_F(BridgeReload, one_bridge_to_nowhere_does_not_disturb_another) {
    upstream_up("plant");
    start(head() + file_bridge("plant") + route("plant/#", "payload = \"text\"") + file_bridge("nowhere") +
          route("plant/#") + "[[bridge]]\nname = \"kafka\"\ntype = \"kafka\"\nservers = [\"127.0.0.1:1\"]\n" +
          route("plant/#", "topic = \"t\""));
    ASSERT_TRUE(broker_.wait_for_log("bridge 'nowhere': not connected")) << broker_.log();
    std::vector<std::string> expected;
    for (int i = 0; i < 200; ++i) {
        publish("plant/a", std::to_string(i));
        expected.push_back(std::to_string(i));
    }
    EXPECT_TRUE(has_payloads("plant", expected)) << told("plant");
    EXPECT_EQ(count_in_log("bridge 'plant': connected"), 1U) << broker_.log();
    EXPECT_EQ(status("nowhere")["spool_messages"], 200) << told("nowhere");
    EXPECT_EQ(status("kafka")["spool_messages"], 200) << told("kafka");
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(broker_.stop()) << broker_.log();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(15));
}

}  // namespace
}  // namespace sluice::test
