#include "admin/metrics_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <regex>
#include <set>
#include <sstream>

#include "fake_stats.hpp"

namespace sluice::admin {
namespace {

using shard::MetricKind;
using testing::HasSubstr;

TEST(MetricsText, PutsOneFamilyUnderOneHead) {
    const std::string text = render_metrics(FakeStats().metrics());
    EXPECT_EQ(text,
              "# HELP sluice_connections Connections now.\n"
              "# TYPE sluice_connections gauge\n"
              "sluice_connections{shard=\"0\"} 2\n"
              "sluice_connections{shard=\"1\"} 3\n"
              "# HELP sluice_messages_received_total Messages in.\n"
              "# TYPE sluice_messages_received_total counter\n"
              "sluice_messages_received_total{qos=\"1\"} 7\n"
              "# HELP sluice_store_bytes Bytes\\\\on\\ndisk.\n"
              "# TYPE sluice_store_bytes gauge\n"
              "sluice_store_bytes 2500000\n");
}

TEST(MetricsText, WritesEveryNumber) {
    const auto text = [](double value) { return render_metrics({{"a", "b", MetricKind::gauge, "", value}}); };
    EXPECT_THAT(text(0.25), HasSubstr("a 0.25\n"));
    EXPECT_THAT(text(-3), HasSubstr("a -3\n"));
    EXPECT_THAT(text(1e15), HasSubstr("a 1000000000000000\n"));
    EXPECT_THAT(text(1e300), HasSubstr("a 1e+300\n"));
    EXPECT_THAT(text(std::numeric_limits<double>::infinity()), HasSubstr("a +Inf\n"));
    EXPECT_THAT(text(-std::numeric_limits<double>::infinity()), HasSubstr("a -Inf\n"));
    EXPECT_THAT(text(std::nan("")), HasSubstr("a NaN\n"));
}

TEST(MetricsText, TellsOfBridgesAndHealth) {
    FakeStats stats;
    stats.set_health({true, false, {"store: disk full", "bridge: x"}});
    const std::string text = render_metrics(collect_samples(stats));
    for (const char* line :
         {"sluice_bridge_connected{bridge=\"plant\",type=\"kafka\"} 0\n",
          "sluice_bridge_state{bridge=\"plant\",type=\"kafka\",state=\"stalled\"} 1\n",
          "sluice_bridge_state{bridge=\"plant\",type=\"kafka\",state=\"connected\"} 0\n",
          "sluice_bridge_in_total{bridge=\"plant\",type=\"kafka\"} 10\n",
          "sluice_bridge_confirmed_total{bridge=\"plant\",type=\"kafka\"} 4\n",
          "sluice_bridge_refused_total{bridge=\"plant\",type=\"kafka\"} 1\n",
          "sluice_bridge_redelivered_total{bridge=\"plant\",type=\"kafka\"} 2\n",
          "sluice_bridge_dropped_total{bridge=\"plant\",type=\"kafka\",reason=\"full\"} 2\n",
          "sluice_bridge_dropped_total{bridge=\"plant\",type=\"kafka\",reason=\"expired\"} 1\n",
          "sluice_bridge_dropped_total{bridge=\"plant\",type=\"kafka\",reason=\"other\"} 0\n",
          "sluice_bridge_retried_total{bridge=\"plant\",type=\"kafka\"} 8\n",
          "sluice_bridge_replaced_total{bridge=\"plant\",type=\"kafka\"} 9\n",
          "sluice_bridge_thinned_total{bridge=\"plant\",type=\"kafka\"} 5\n",
          "sluice_bridge_dead_letters{bridge=\"plant\",type=\"kafka\"} 5\n",
          "sluice_bridge_dead_letters_dropped_total{bridge=\"plant\",type=\"kafka\"} 7\n",
          "sluice_bridge_arrival_rate{bridge=\"plant\",type=\"kafka\"} 2.5\n",
          "sluice_bridge_confirm_rate{bridge=\"plant\",type=\"kafka\"} 0\n",
          "sluice_bridge_full_in_seconds{bridge=\"plant\",type=\"kafka\"} 10800\n",
          "sluice_bridge_spool_messages{bridge=\"plant\",type=\"kafka\"} 6\n",
          "sluice_bridge_spool_bytes{bridge=\"plant\",type=\"kafka\"} 3145728\n",
          "sluice_bridge_oldest_seconds{bridge=\"plant\",type=\"kafka\"} 7300.5\n",
          "sluice_live 1\n",
          "sluice_ready 0\n",
          "sluice_alarms 2\n",
          "sluice_build_info{version=\""}) {
        EXPECT_THAT(text, HasSubstr(line));
    }
}

TEST(MetricsText, LeavesOutForecastsAndDirectionsThatThereAreNot) {
    FakeStats stats;
    auto bridge = stats.bridges()[0];
    const auto text = [&] {
        stats.set_bridges({bridge});
        return render_metrics(collect_samples(stats));
    };
    EXPECT_THAT(text(), testing::Not(HasSubstr("sluice_bridge_empty_in_seconds")));
    EXPECT_THAT(text(), testing::Not(HasSubstr("sluice_bridge_down_")));
    bridge.full_in_s = -1;
    bridge.empty_in_s = 0;
    bridge.has_down = true;
    bridge.down_received = 15;
    bridge.down_kept = 11;
    bridge.down_refused = 2;
    bridge.down_own = 1;
    bridge.down_unsettled = 3;
    const std::string down = text();
    EXPECT_THAT(down, testing::Not(HasSubstr("sluice_bridge_full_in_seconds")));
    for (const char* line : {"empty_in_seconds{X} 0\n", "down_receiving{X} 1\n",
                             "down_received_total{X} 15\n", "down_kept_total{X} 11\n",
                             "down_refused_total{X} 2\n", "down_own_total{X} 1\n", "down_unsettled{X} 3\n"}) {
        std::string whole = std::string("sluice_bridge_") + line;
        whole.replace(whole.find("{X}"), 3, "{bridge=\"plant\",type=\"kafka\"}");
        EXPECT_THAT(down, HasSubstr(whole));
    }
    bridge.down_problem = "the queue is gone";
    EXPECT_THAT(text(), HasSubstr("sluice_bridge_down_receiving{bridge=\"plant\",type=\"kafka\"} 0\n"));
}

TEST(MetricsText, TellsEachStateOfABridge) {
    using shard::BridgeState;
    FakeStats stats;
    auto bridge = stats.bridges()[0];
    for (const auto state :
         {BridgeState::connecting, BridgeState::connected, BridgeState::progressing, BridgeState::stalled,
          BridgeState::blocked, BridgeState::full, BridgeState::paused, BridgeState::stopped}) {
        bridge.state = state;
        stats.set_bridges({bridge});
        const std::string text = render_metrics(collect_samples(stats));
        EXPECT_THAT(text, HasSubstr("state=\"" + std::string(shard::name_of(state)) + "\"} 1\n"));
        const bool takes = state == BridgeState::connected || state == BridgeState::progressing;
        EXPECT_THAT(text, HasSubstr(std::string("sluice_bridge_connected{bridge=\"plant\",type=\"kafka\"} ") +
                                    (takes ? "1\n" : "0\n")));
    }
}

// A source may count its bridges itself: one series must not come twice.
TEST(MetricsText, LeavesOutWhatTheSourceTellsItself) {
    struct Source : FakeStats {
        std::vector<shard::MetricSample> metrics() const override {
            return {{"sluice_bridge_connected", "Its own.", MetricKind::gauge, "bridge=\"plant\"", 0}};
        }
    };
    const std::string text = render_metrics(collect_samples(Source()));
    EXPECT_THAT(text, HasSubstr("# HELP sluice_bridge_connected Its own.\n"));
    EXPECT_THAT(text, HasSubstr("sluice_bridge_connected{bridge=\"plant\"} 0\n"));
    EXPECT_THAT(text, testing::Not(HasSubstr("sluice_bridge_connected{bridge=\"plant\",type")));
    EXPECT_THAT(text, HasSubstr("sluice_bridge_in_total{"));
}

// The rules of text format 0.0.4, line by line.
TEST(MetricsText, IsWellFormed) {
    FakeStats stats;
    shard::BridgeStatus odd;
    odd.name = "a\"b\\c\nd";
    stats.set_bridges({odd, stats.bridges()[0]});
    std::istringstream lines(render_metrics(collect_samples(stats)));
    const std::regex sample(R"(^([a-z_]+)(\{[a-z_]+="([^"\\]|\\.)*"(,[a-z_]+="([^"\\]|\\.)*")*\})? \S+$)");
    const std::regex head(R"(^# (HELP|TYPE) ([a-z_]+) .+$)");
    std::set<std::string> heads;
    std::string line, family;
    while (std::getline(lines, line)) {
        std::smatch match;
        if (std::regex_match(line, match, head)) {
            family = match[2];
            EXPECT_TRUE(heads.insert(match[1].str() + family).second) << line;
        } else {
            ASSERT_TRUE(std::regex_match(line, match, sample)) << line;
            EXPECT_EQ(match[1], family) << line;
        }
    }
    EXPECT_GT(heads.size(), 20U);
}

TEST(MetricsLabels, GoBothWays) {
    EXPECT_EQ(escape_label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    const auto labels = split_labels("bridge=\"a\\\"b\\\\c\\nd\",x=\"\",y=\"1,2\"");
    ASSERT_EQ(labels.size(), 3U);
    EXPECT_EQ(labels[0], std::make_pair(std::string("bridge"), std::string("a\"b\\c\nd")));
    EXPECT_EQ(labels[1], std::make_pair(std::string("x"), std::string()));
    EXPECT_EQ(labels[2], std::make_pair(std::string("y"), std::string("1,2")));
    EXPECT_TRUE(split_labels("").empty());
    EXPECT_TRUE(split_labels("nonsense").empty());
    EXPECT_EQ(split_labels("open=\"x").size(), 1U);
    EXPECT_EQ(split_labels("open=\"x\\").size(), 1U);
}

}  // namespace
}  // namespace sluice::admin
