#include "app/ctl_bridge.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "admin/http_server.hpp"
#include "app/ctl.hpp"
#include "app/table.hpp"
#include "fake_control.hpp"
#include "fake_stats.hpp"

namespace sluice::app {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class CtlBridge : public testing::Test {
  protected:
    void SetUp() override {
        const auto port = server_.start();
        ASSERT_TRUE(port.ok()) << port.error();
        url_ = "http://127.0.0.1:" + std::to_string(*port);
    }
    int run(std::vector<const char*> arguments) {
        arguments.insert(arguments.begin(), {"sluicectl", "--url", url_.c_str()});
        out_.str("");
        err_.str("");
        return answer_ctl(static_cast<int>(arguments.size()), arguments.data(), in_, out_, err_);
    }
    std::string shown(std::vector<const char*> arguments) {
        EXPECT_EQ(run(std::move(arguments)), 0) << err_.str();
        return out_.str();
    }

    admin::FakeStats stats_;
    admin::FakeControl control_;
    admin::HttpServer server_{stats_, &control_, admin::AdminSettings{"127.0.0.1", 0}};
    std::string url_;
    std::istringstream in_;
    std::ostringstream out_, err_;
};

TEST_F(CtlBridge, Lists) {
    EXPECT_EQ(shown({"bridge", "list"}),
              "BRIDGE  TYPE   STATE    WAITING     SIZE  OLDEST  CONFIRMED  DROPPED  DEAD  REASON\n"
              "plant   kafka  stalled        6  3.0 MiB   2.0 h          4        3     5  no "
              "acknowledgement\\x0afor 30 s\n");
    EXPECT_EQ(json::parse(shown({"bridge", "list", "--json"}))["bridges"][0]["name"], "plant");
    stats_.set_bridges({});
    EXPECT_EQ(shown({"bridge", "list"}), "no bridges\n");
}

TEST_F(CtlBridge, ListsWithin120Columns) {
    auto bridge = stats_.bridges()[0];
    bridge.name = "a-rather-long-name";
    bridge.state = shard::BridgeState::progressing;
    bridge.spool_messages = 12'345'678;
    bridge.reason = "\x1b[31m";
    for (int i = 0; i < 60; ++i) bridge.reason += "\xc3\xa4\xc3\xb6 ";
    auto brief = bridge;
    brief.reason = "short";
    stats_.set_bridges({bridge, brief});
    std::istringstream lines(shown({"bridge", "list"}));
    std::string head, line;
    std::getline(lines, head);
    std::getline(lines, line);
    EXPECT_EQ(width_of(line), 120U) << line;
    EXPECT_THAT(line, testing::EndsWith("..."));
    EXPECT_THAT(line, HasSubstr("\\x1b[31m"));
    EXPECT_THAT(head, testing::EndsWith("REASON"));
    // Not torn apart within a character: what is before the dots is the whole beginning of the reason.
    const std::string kept = line.substr(line.find("\\x1b[31m") + 8, line.size());
    EXPECT_THAT(bridge.reason, HasSubstr(kept.substr(0, kept.size() - 3)));
    std::getline(lines, line);
    EXPECT_THAT(line, testing::EndsWith("short"));
}

TEST_F(CtlBridge, ShowsAllOfOne) {
    EXPECT_EQ(shown({"bridge", "show", "plant"}),
              "bridge plant (kafka): stalled\n"
              "reason:     no acknowledgement\\x0afor 30 s\n"
              "waiting:    6 messages, 3.0 MiB, the oldest for 2.0 h\n"
              "rates:      2.5/s arrive, 0.0/s are confirmed\n"
              "forecast:   full in 3 h\n"
              "up:         10 entered, 4 confirmed, 1 refused for good\n"
              "            2 offered again after a disconnect, 8 after a refusal for a while, 9 replaced\n"
              "dropped:    3: 2 spool full, 1 expired, 0 other\n"
              "dead:       5 now, 7 were pushed out\n");
    EXPECT_EQ(json::parse(shown({"bridge", "show", "plant", "--json"}))["dead"], 5);
    auto bridge = stats_.bridges()[0];
    bridge.reason = "";
    bridge.full_in_s = -1;
    bridge.has_down = true;
    bridge.down_problem = "gone\x1b";
    stats_.set_bridges({bridge});
    const std::string down = shown({"bridge", "show", "plant"});
    EXPECT_THAT(down, Not(HasSubstr("reason:")));
    EXPECT_THAT(down, HasSubstr("forecast:   neither full nor empty at these rates\n"));
    EXPECT_THAT(down, HasSubstr("down:       gone\\x1b\n            0 received, 0 kept"));
    bridge.spool_messages = 0;
    bridge.down_problem = "";
    stats_.set_bridges({bridge});
    const std::string empty = shown({"bridge", "show", "plant"});
    EXPECT_THAT(empty, Not(HasSubstr("forecast:")));
    EXPECT_THAT(empty, Not(HasSubstr("oldest")));
    EXPECT_THAT(empty, HasSubstr("down:       receiving\n"));
    EXPECT_EQ(run({"bridge", "show", "nobody"}), 1);
    EXPECT_EQ(err_.str(), "sluicectl: there is no bridge of this name\n");
}

TEST(BridgeForecast, IsInWords) {
    EXPECT_EQ(describe_forecast(-1, -1), "");
    EXPECT_EQ(describe_forecast(3 * 3600, -1), "full in 3 h");
    EXPECT_EQ(describe_forecast(-1, 40), "empty in 40 s");
    EXPECT_EQ(describe_forecast(600, 86400.0 * 9), "full in 10 min, empty in 9 d");
}

TEST_F(CtlBridge, PausesAndResumes) {
    EXPECT_THAT(shown({"bridge", "pause", "plant"}), HasSubstr("bridge plant is paused"));
    EXPECT_EQ(shown({"bridge", "resume", "a b/c"}), "bridge a b/c is resumed\n");
    EXPECT_EQ(json::parse(shown({"bridge", "pause", "plant", "--json"}))["paused"], true);
    EXPECT_THAT(control_.told(), ElementsAre("pause plant", "resume a b/c", "pause plant"));
}

TEST_F(CtlBridge, ListsAndForgetsLeftovers) {
    EXPECT_EQ(shown({"bridge", "leftovers"}),
              "BRIDGE  ROUTE   WAITING     SIZE\n"
              "old                   6  3.0 MiB\n"
              "plant   alarms        1     10 B\n");
    EXPECT_EQ(json::parse(shown({"bridge", "leftovers", "--json"}))["spools"].size(), 2U);
    EXPECT_EQ(shown({"bridge", "forget", "plant", "--route", "alarms"}), "2 messages are forgotten\n");
    EXPECT_EQ(json::parse(shown({"--json", "bridge", "forget", "old", "--all"}))["forgotten"], 2);
    EXPECT_THAT(control_.told(),
                ElementsAre("leftovers", "leftovers", "forget plant [alarms]", "forget old []"));
    control_.set_spools({});
    EXPECT_THAT(shown({"bridge", "leftovers"}), HasSubstr("no leftovers"));
}

TEST_F(CtlBridge, ListsDeadLetters) {
    EXPECT_EQ(
        shown({"dead", "list", "plant"}),
        "                  ID  REFUSED                   ROUTE      TOPIC      SIZE  REASON\n"
        "                  17  2026-01-01T00:00:00.123Z  telemetry  plant/1/t   8 B  too large\\x0afor it\n"
        "18364758544493064720  2026-01-01T00:00:00.123Z  telemetry  plant/1/t   8 B  too large\\x0afor it\n");
    EXPECT_THAT(shown({"dead", "list", "plant", "--count", "1"}),
                HasSubstr("there may be more: --after 17\n"));
    EXPECT_EQ(shown({"dead", "list", "plant", "--after", "18364758544493064720"}), "no more dead letters\n");
    EXPECT_EQ(json::parse(shown({"dead", "list", "plant", "--json"}))["dead"][0]["id"], "17");
}

TEST_F(CtlBridge, ShowsADeadLetter) {
    control_.set_payload("one\ntwo\x1b[2J");
    EXPECT_EQ(shown({"dead", "show", "plant", "17"}),
              "dead letter 17 of bridge plant\n"
              "reason:     too large\\x0afor it\n"
              "route:      telemetry\n"
              "refused:    2026-01-01T00:00:00.123Z\n"
              "received:   2025-12-31T23:59:59.000Z\n"
              "topic:      plant/1/t\n"
              "client id:  sensor-1\n"
              "user name:  ann\n"
              "QoS:        1, retained\n"
              "property:   Content Type = text/plain\n"
              "property:   Correlation Data = /w== (base64)\n"
              "payload:    11 bytes\n"
              "one\n"
              "two\\x1b[2J\n");
    EXPECT_EQ(json::parse(shown({"dead", "show", "plant", "17", "--json"}))["payload_text"],
              "one\ntwo\x1b[2J");
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
    for (const std::string& payload : {bytes, std::string(), std::string("\n\0\n", 3)}) {
        control_.set_payload(payload);
        EXPECT_EQ(shown({"dead", "show", "plant", "17", "--raw"}), payload);
    }
    control_.set_payload(bytes);
    EXPECT_THAT(shown({"dead", "show", "plant", "17"}),
                testing::EndsWith("payload:    256 bytes, not text; --raw writes them\n"));
}

TEST_F(CtlBridge, SaysThatThePayloadCouldNotBeWritten) {
    out_.setstate(std::ios::badbit);
    EXPECT_EQ(run({"dead", "show", "plant", "17", "--raw"}), 1);
    EXPECT_THAT(err_.str(), HasSubstr("could not be written"));
}

TEST_F(CtlBridge, RetriesAndDropsDeadLetters) {
    EXPECT_EQ(shown({"dead", "retry", "plant", "5", "4", "5"}), "2 dead letters wait in the spool again\n");
    EXPECT_EQ(shown({"dead", "drop", "plant", "--all"}), "2 dead letters are dropped\n");
    EXPECT_EQ(json::parse(shown({"dead", "retry", "plant", "--all", "--json"}))["retried"], 2);
    EXPECT_EQ(run({"dead", "drop", "plant", "18364758544493064720", "2", "3"}), 1) << "one was not there";
    EXPECT_EQ(out_.str(), "2 of 3 dead letters are dropped: the others are not there any more\n");
    EXPECT_THAT(control_.told(), ElementsAre("retry plant [4 5]", "drop plant []", "retry plant []",
                                             "drop plant [2 3 18364758544493064720]"));
}

// What cannot be done ends with 1 and says why, whatever it is.
TEST_F(CtlBridge, SaysWhyItIsNotDone) {
    const std::vector<std::vector<const char*>> commands{{"bridge", "pause", "plant"},
                                                         {"bridge", "resume", "plant"},
                                                         {"bridge", "leftovers"},
                                                         {"bridge", "forget", "plant", "--all"},
                                                         {"dead", "list", "plant"},
                                                         {"dead", "show", "plant", "1"},
                                                         {"dead", "show", "plant", "1", "--raw"},
                                                         {"dead", "retry", "plant", "1"},
                                                         {"dead", "drop", "plant", "--all"}};
    control_.fail(shard::BridgeControl::Error{shard::BridgeControl::Failure::conflict, "it is\nin use"});
    for (const auto& command : commands) {
        EXPECT_EQ(run(command), 1) << command[1];
        EXPECT_EQ(err_.str(), "sluicectl: it is\\x0ain use\n") << command[1];
        EXPECT_EQ(out_.str(), "") << command[1];
    }
    server_.stop();
    for (const auto& command : commands) {
        EXPECT_EQ(run(command), 3) << command[1];
        EXPECT_THAT(err_.str(), HasSubstr("no broker answers at " + url_));
    }
}

TEST_F(CtlBridge, NeverMeansAllByOmission) {
    for (const std::vector<const char*>& command :
         std::vector<std::vector<const char*>>{{"bridge"},
                                               {"bridge", "pause"},
                                               {"bridge", "show"},
                                               {"bridge", "pause", "plant", "x"},
                                               {"bridge", "forget"},
                                               {"bridge", "forget", "plant"},
                                               {"bridge", "forget", "plant", "--route", ""},
                                               {"bridge", "forget", "plant", "--route"},
                                               {"bridge", "forget", "plant", "--all", "--route", "x"},
                                               {"dead"},
                                               {"dead", "list"},
                                               {"dead", "list", "plant", "--count", "0"},
                                               {"dead", "list", "plant", "--count", "1001"},
                                               {"dead", "list", "plant", "--after", "x"},
                                               {"dead", "list", "plant", "--after", "-1"},
                                               {"dead", "show", "plant"},
                                               {"dead", "show", "plant", "x"},
                                               {"dead", "retry"},
                                               {"dead", "retry", "plant"},
                                               {"dead", "retry", "plant", "x"},
                                               {"dead", "drop", "plant"},
                                               {"dead", "drop", "plant", "-1"},
                                               {"dead", "drop", "plant", "1", "--all"},
                                               {"dead", "drop", "plant", "18446744073709551616"}}) {
        std::string words;
        for (const char* word : command) words += std::string(word) + " ";
        EXPECT_EQ(run(command), 2) << words << out_.str() << err_.str();
    }
    EXPECT_THAT(control_.told(), ElementsAre());
}

TEST(CtlBridgeOfAnotherVersion, SaysThatTheBrokerIsOlder) {
    admin::FakeStats stats;
    admin::HttpServer server(stats, nullptr, admin::AdminSettings{"127.0.0.1", 0});
    const auto port = server.start();
    ASSERT_TRUE(port.ok()) << port.error();
    std::ostringstream out;
    const Command command{.url = "http://127.0.0.1:" + std::to_string(*port), .out = out};
    const auto reply = order_json(command, "/api/v1/not/yet");
    ASSERT_FALSE(reply.ok());
    EXPECT_EQ(reply.error().exit_code, 1);
    EXPECT_EQ(reply.error().line, "there is nothing at this path (is the broker older than this sluicectl?)");
    EXPECT_EQ(ask_json(command, "/metrics").error().exit_code, 3) << "no JSON";
}

}  // namespace
}  // namespace sluice::app
