#include "admin/answers.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "fake_stats.hpp"

namespace sluice::admin {
namespace {

using nlohmann::json;

struct Answers : testing::Test {
    Answer get(std::string_view path) { return answer_request("GET", path, stats); }
    json get_json(std::string_view path) { return json::parse(get(path).body); }
    FakeStats stats;
};

TEST_F(Answers, AreReadyOnlyWhenTheBrokerIs) {
    EXPECT_EQ(get("/readyz").status, 200U);
    stats.set_health({true, false, {}});
    EXPECT_EQ(get("/readyz").status, 503U);
    EXPECT_EQ(get("/healthz").status, 200U);
    stats.set_health({false, true, {}});
    EXPECT_EQ(get("/readyz").status, 503U);
    EXPECT_EQ(get("/healthz").status, 503U);
}

TEST_F(Answers, TellAlarms) {
    EXPECT_EQ(get_json("/healthz")["status"], "ok");
    stats.set_health({true, true, {"store: disk full, commits wait"}});
    EXPECT_EQ(get("/healthz").status, 503U);
    EXPECT_EQ(get("/readyz").status, 200U) << "an alarm does not mean that clients are not served";
    EXPECT_EQ(get_json("/healthz")["alarms"], json::array({"store: disk full, commits wait"}));
    const json health = get_json("/api/v1/health");
    EXPECT_EQ(get("/api/v1/health").status, 200U) << "the question is answered, whatever the answer";
    EXPECT_EQ(health["status"], "alarm");
    EXPECT_EQ(health["live"], true);
    EXPECT_FALSE(health["version"].get<std::string>().empty());
}

TEST_F(Answers, ListBridges) {
    const json bridge = get_json("/api/v1/bridges")["bridges"].at(0);
    EXPECT_EQ(bridge["name"], "plant");
    EXPECT_EQ(bridge["type"], "kafka");
    EXPECT_EQ(bridge["state"], "stalled");
    EXPECT_EQ(bridge["reason"], "no acknowledgement\nfor 30 s");
    EXPECT_EQ(bridge["in_messages"], 10);
    EXPECT_EQ(bridge["confirmed"], 4);
    EXPECT_EQ(bridge["refused"], 1);
    EXPECT_EQ(bridge["redelivered"], 2);
    EXPECT_EQ(bridge["dropped"], 3);
    EXPECT_EQ(bridge["thinned"], 5);
    EXPECT_EQ(bridge["spool_messages"], 6);
    EXPECT_EQ(bridge["spool_bytes"], 3145728);
    EXPECT_EQ(bridge["oldest_age_s"], 7300.5);
}

TEST_F(Answers, StandBytesThatAreNotUtf8) {
    shard::BridgeStatus odd;
    odd.reason = "\xff\xfe";
    stats.set_bridges({odd});
    EXPECT_EQ(get_json("/api/v1/bridges")["bridges"][0]["reason"], "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_F(Answers, GiveMetricsAsJson) {
    const json metrics = get_json("/api/v1/metrics")["metrics"];
    EXPECT_EQ(metrics[0], json({{"name", "sluice_connections"},
                                {"help", "Connections now."},
                                {"kind", "gauge"},
                                {"labels", {{"shard", "0"}}},
                                {"value", 2}}));
    EXPECT_EQ(get("/metrics").content_type, "text/plain; version=0.0.4; charset=utf-8");
}

TEST_F(Answers, DoNotLookAtTheQuery) {
    EXPECT_EQ(get("/healthz?a=b").status, 200U);
}

TEST_F(Answers, RefuseInJson) {
    for (const char* path : {"/", "", "/metrics/", "/api/v1", "/../etc/passwd", "http://evil/metrics", "*"}) {
        EXPECT_EQ(get(path).status, 404U) << path;
        EXPECT_TRUE(get_json(path).contains("error"));
    }
    for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "BREW"}) {
        const Answer answer = answer_request(method, "/metrics", stats);
        EXPECT_EQ(answer.status, 405U) << method;
        EXPECT_TRUE(answer.only_get);
        EXPECT_TRUE(json::parse(answer.body).contains("error"));
    }
    EXPECT_EQ(answer_request("HEAD", "/metrics", stats).status, 200U);
}

TEST(LocalHost, IsThisMachineByAddressOrName) {
    for (const char* host : {"localhost", "LocalHost:9883", "127.0.0.1", "127.0.0.1:9883", "127.1.2.3:1",
                             "[::1]", "[::1]:9883"}) {
        EXPECT_TRUE(is_local_host(host)) << host;
    }
    for (const char* host : {"", ":9883", "evil.example", "evil.example:9883", "localhost.evil.example",
                             "127.0.0.1.evil", "192.168.1.2", "[::2]", "[", "[]", "[::1", "[::1].evil",
                             "::1.evil", "127.0.0.1\n", "127.0.0.1:evil", "0.0.0.0"}) {
        EXPECT_FALSE(is_local_host(host)) << host;
    }
}

}  // namespace
}  // namespace sluice::admin
