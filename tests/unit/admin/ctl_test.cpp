#include "app/ctl.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "admin/http_server.hpp"
#include "app/table.hpp"
#include "fake_control.hpp"
#include "fake_stats.hpp"

namespace sluice::app {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Ctl : public testing::Test {
  protected:
    void SetUp() override {
        const auto port = server_.start();
        ASSERT_TRUE(port.ok()) << port.error();
        url_ = "http://127.0.0.1:" + std::to_string(*port);
    }
    int run(std::vector<const char*> arguments) {
        arguments.insert(arguments.begin(), "sluicectl");
        out_.str("");
        err_.str("");
        return answer_ctl(int(arguments.size()), arguments.data(), in_, out_, err_);
    }
    int ask(std::vector<const char*> arguments) {
        arguments.push_back("--url");
        arguments.push_back(url_.c_str());
        return run(arguments);
    }

    admin::FakeStats stats_;
    admin::FakeControl control_;
    admin::HttpServer server_{stats_, &control_, admin::AdminSettings{"127.0.0.1", 0}};
    std::string url_;
    std::istringstream in_;
    std::ostringstream out_, err_;
};

TEST_F(Ctl, ShowsHealth) {
    EXPECT_EQ(ask({"health"}), 0);
    EXPECT_THAT(out_.str(), testing::MatchesRegex("sluiced [0-9.]+: live, ready\nno alarms\n"));
    stats_.set_health({true, false, {"store: disk full", "a\nb"}});
    EXPECT_EQ(ask({"health"}), 1);
    EXPECT_THAT(out_.str(), HasSubstr(": live, NOT READY\nALARM  store: disk full\nALARM  a\\x0ab\n"));
    EXPECT_EQ(ask({"health", "--json"}), 1);
    EXPECT_EQ(json::parse(out_.str())["alarms"].size(), 2U);
}

TEST_F(Ctl, ShowsMetrics) {
    EXPECT_EQ(ask({"metrics"}), 0);
    EXPECT_THAT(out_.str(), HasSubstr("# TYPE sluice_connections gauge\n"));
    EXPECT_EQ(ask({"metrics", "--json"}), 0);
    EXPECT_FALSE(json::parse(out_.str())["metrics"].empty());
}

TEST_F(Ctl, ShowsTheStatus) {
    EXPECT_EQ(ask({"status"}), 0);
    EXPECT_THAT(out_.str(), HasSubstr("live, ready\nno alarms\n"));
    EXPECT_THAT(out_.str(), HasSubstr("sluice_connections        5\n"));
    EXPECT_THAT(out_.str(), HasSubstr("sluice_store_bytes  2.4 MiB\n"));
    EXPECT_THAT(out_.str(), HasSubstr("plant "));
    stats_.set_health({true, true, {"x"}});
    EXPECT_EQ(ask({"--json", "status"}), 1);
    EXPECT_EQ(json::parse(out_.str())["health"]["status"], "alarm");
}

TEST_F(Ctl, SaysThatNoBrokerAnswers) {
    server_.stop();
    for (const auto& arguments :
         std::vector<std::vector<const char*>>{{"status"}, {"health"}, {"bridge", "list"}, {"metrics"}}) {
        EXPECT_EQ(ask(arguments), 3);
        EXPECT_EQ(err_.str(),
                  "sluicectl: no broker answers at " + url_ +
                      ": Connection refused (is sluiced running, and is there an [admin] table in its "
                      "settings?)\n");
        EXPECT_EQ(out_.str(), "");
    }
}

TEST_F(Ctl, RefusesWhatItDoesNotKnow) {
    EXPECT_EQ(run({}), 2);
    EXPECT_EQ(run({"stauts"}), 2);
    EXPECT_EQ(run({"health", "--jsn"}), 2);
    EXPECT_THAT(err_.str(), HasSubstr("Try: sluicectl --help"));
    EXPECT_EQ(run({"--help"}), 0);
    EXPECT_THAT(out_.str(), HasSubstr("bridge"));
    EXPECT_EQ(run({"--version"}), 0);
    EXPECT_THAT(out_.str(), testing::StartsWith("sluicectl "));
}

TEST(TableText, MeasuresCharactersAndNotBytes) {
    Table table({{"A"}, {"N", Table::Align::right}});
    table.add({"grün", "1"});
    table.add({"b", "22"});
    EXPECT_EQ(table.render(), "A      N\ngrün   1\nb     22\n");
}

TEST(TableText, MakesNumbersShort) {
    EXPECT_EQ(human_bytes(0), "0 B");
    EXPECT_EQ(human_bytes(1536), "1.5 KiB");
    EXPECT_EQ(human_bytes(5.0 * (1LL << 40)), "5.0 TiB");
    EXPECT_EQ(human_age(0), "0 s");
    EXPECT_EQ(human_age(600), "10 min");
    EXPECT_EQ(human_age(86400 * 7), "7.0 d");
}

}  // namespace
}  // namespace sluice::app
