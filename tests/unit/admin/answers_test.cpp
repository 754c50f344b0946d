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
    EXPECT_EQ(get_json("/api/v1/bridges")["bridges"].at(0), json::parse(R"({
        "name": "plant", "type": "kafka", "state": "stalled", "reason": "no acknowledgement\nfor 30 s",
        "in_messages": 10, "confirmed": 4, "refused": 1, "redelivered": 2, "retried": 8, "replaced": 9, "thinned": 5,
        "dropped": 3, "dropped_full": 2, "dropped_expired": 1, "dropped_other": 0, "dead": 5, "dead_dropped": 7,
        "spool_messages": 6, "spool_bytes": 3145728, "oldest_age_s": 7300.5,
        "arrival_rate": 2.5, "confirm_rate": 0, "full_in_s": 10800, "empty_in_s": null, "down": null})"));
}

TEST_F(Answers, ShowOneBridge) {
    auto bridge = stats.bridges()[0];
    bridge.name = "a.b-c_d";
    bridge.has_down = true;
    bridge.down_problem = "refused";
    bridge.down_received = 15;
    bridge.down_kept = 11;
    bridge.down_refused = 2;
    bridge.down_own = 1;
    bridge.down_unsettled = 3;
    stats.set_bridges({bridge});
    EXPECT_EQ(get_json("/api/v1/bridges/a.b-c_d")["down"], json({{"problem", "refused"},
                                                                 {"received", 15},
                                                                 {"kept", 11},
                                                                 {"refused", 2},
                                                                 {"own", 1},
                                                                 {"unsettled", 3}}));
    EXPECT_EQ(get("/api/v1/bridges/%61.b-c_d").status, 200U);
    EXPECT_EQ(answer_request("HEAD", "/api/v1/bridges/a.b-c_d", stats).status, 200U);
    for (const char* name : {"", "plant", "a.b-c_d%", "a.b-c_d%0", "a.b-c_d%zz", "%00"}) {
        const Answer answer = get(std::string("/api/v1/bridges/") + name);
        EXPECT_EQ(answer.status, 404U) << name;
        EXPECT_EQ(json::parse(answer.body)["failure"], "not_found") << name;
    }
    EXPECT_EQ(answer_request("DELETE", "/api/v1/bridges/a.b-c_d", stats).allow, "GET, HEAD");
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
    for (const char* path : {"/", "", "/metrics/", "/api/v1", "/../etc/passwd", "http://evil/metrics", "*",
                             "/api/v1/bridges/plant/x", "/api/v1/bridge/plant"}) {
        EXPECT_EQ(get(path).status, 404U) << path;
        EXPECT_TRUE(get_json(path).contains("error"));
    }
    for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "BREW"}) {
        const Answer answer = answer_request(method, "/metrics", stats);
        EXPECT_EQ(answer.status, 405U) << method;
        EXPECT_EQ(answer.allow, "GET, HEAD");
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

// A page that was loaded from here may ask here; any other name may be one that DNS rebinding points to here.
TEST(OwnOrigin, IsThisPortByAddressOrAsLocalhost) {
    for (const char* host :
         {"localhost:9883", "127.0.0.1:9883", "[::1]:9883", "192.168.1.2:9883", "10.0.0.1"}) {
        EXPECT_TRUE(is_own_origin(std::string("http://") + host, host)) << host;
        EXPECT_TRUE(is_own_origin(std::string("https://") + host, host)) << host;
        EXPECT_FALSE(is_own_origin("http://evil.example", host)) << host;
        EXPECT_FALSE(is_own_origin("http://localhost:1", host)) << host;
        EXPECT_FALSE(is_own_origin(std::string("http://") + host + "/", host)) << host;
    }
    EXPECT_FALSE(is_own_origin("http://evil.example:9883", "evil.example:9883"));
    EXPECT_FALSE(is_own_origin("null", "localhost"));
    EXPECT_FALSE(is_own_origin("", ""));
    EXPECT_FALSE(is_own_origin("http://", ""));
}

}  // namespace
}  // namespace sluice::admin
