#include "admin/bridge_command.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "admin/percent.hpp"
#include "fake_control.hpp"

namespace sluice::admin {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using Failure = shard::BridgeControl::Failure;

class BridgeCommands : public testing::Test {
  protected:
    /// As the server does it; status 0 when the path is none of commands.
    Answer give(CommandRequest request) {
        auto command = read_command(request);
        if (!command) return {.status = 0, .body = "{}"};
        return command->ok() ? run_command(**command, control) : command->error();
    }
    Answer get(std::string_view target) { return give({.method = "GET", .target = target}); }
    Answer post(std::string_view target, std::string_view body = "") {
        return give({.method = "POST", .target = target, .body = body, .mark = "1", .host = "localhost"});
    }
    json get_json(std::string_view target) { return json::parse(get(target).body); }
    json post_json(std::string_view target, std::string_view body = "") {
        return json::parse(post(target, body).body);
    }
    std::string error_of(const Answer& answer) { return json::parse(answer.body).value("error", ""); }

    FakeControl control;
};

TEST_F(BridgeCommands, AreGiven) {
    EXPECT_EQ(post_json("/api/v1/bridges/plant/pause"), json({{"bridge", "plant"}, {"paused", true}}));
    EXPECT_EQ(post_json("/api/v1/bridges/plant/resume", "{}"),
              json({{"bridge", "plant"}, {"paused", false}}));
    EXPECT_EQ(post_json("/api/v1/bridges/plant/dead/retry", R"({"ids": [3, "1", 3]})"),
              json({{"retried", 2}}));
    EXPECT_EQ(post_json("/api/v1/bridges/plant/dead/retry", R"({"all": true})"), json({{"retried", 2}}));
    EXPECT_EQ(post_json("/api/v1/bridges/plant/dead/drop", R"({"ids": ["18364758544493064720"]})"),
              json({{"dropped", 2}}));
    EXPECT_EQ(post_json("/api/v1/bridges/old/forget", R"({"all": true})"), json({{"forgotten", 2}}));
    EXPECT_EQ(post_json("/api/v1/bridges/old/forget", R"({"route": "a b"})"), json({{"forgotten", 2}}));
    EXPECT_THAT(control.told(),
                ElementsAre("pause plant", "resume plant", "retry plant [1 3]", "retry plant []",
                            "drop plant [18364758544493064720]", "forget old []", "forget old [a b]"));
}

TEST_F(BridgeCommands, ListDeadLetters) {
    const json two = get_json("/api/v1/bridges/plant/dead");
    EXPECT_EQ(two["next_after"], nullptr);
    ASSERT_EQ(two["dead"].size(), 2U);
    EXPECT_EQ(two["dead"][0], json::parse(R"({"id": "17", "bridge": "plant", "route": "telemetry",
        "reason": "too large\nfor it", "refused": "2026-01-01T00:00:00.123Z",
        "received": "2025-12-31T23:59:59.000Z", "topic": "plant/1/t", "client_id": "sensor-1",
        "user_name": "ann", "qos": 1, "retain": true, "payload_bytes": 8})"));
    EXPECT_EQ(two["dead"][1]["id"], "18364758544493064720");
    EXPECT_EQ(get_json("/api/v1/bridges/plant/dead?count=1")["next_after"], "17");
    EXPECT_EQ(get_json("/api/v1/bridges/pl%61nt/dead?after=17&count=1000")["dead"].size(), 1U);
    EXPECT_EQ(give({.method = "HEAD", .target = "/api/v1/bridges/plant/dead"}).status, 200U);
    EXPECT_THAT(control.told(),
                ElementsAre("dead plant 0 100", "dead plant 0 1", "dead plant 17 1000", "dead plant 0 100"));
}

TEST_F(BridgeCommands, ShowADeadLetterWithItsBytes) {
    const json text = get_json("/api/v1/bridges/plant/dead/17");
    EXPECT_EQ(text["payload_text"], "{\"a\": 1}");
    EXPECT_EQ(text["payload_base64"], "eyJhIjogMX0=");
    EXPECT_EQ(text["properties"], json::parse(R"([{"name": "Content Type", "value": "text/plain"},
                                                  {"name": "Correlation Data", "value_base64": "/w=="}])"));
    control.set_payload(std::string("\xff\0", 2));
    const json bytes = get_json("/api/v1/bridges/plant/dead/17");
    EXPECT_FALSE(bytes.contains("payload_text"));
    EXPECT_EQ(bytes["payload_base64"], "/wA=");
    control.set_payload("");
    EXPECT_EQ(get_json("/api/v1/bridges/plant/dead/17")["payload_base64"], "");
    EXPECT_THAT(control.told(), testing::Each("letter plant 17"));
}

TEST_F(BridgeCommands, ListLeftovers) {
    EXPECT_EQ(get_json("/api/v1/spools"),
              json::parse(R"({"spools": [{"bridge": "old", "route": "", "messages": 6, "bytes": 3145728},
                                         {"bridge": "plant", "route": "alarms", "messages": 1, "bytes": 10}]})"));
}

TEST_F(BridgeCommands, SayWhyTheyAreNotDone) {
    const std::pair<Failure, std::pair<unsigned, const char*>> failures[] = {
        {Failure::not_found, {404, "not_found"}},
        {Failure::conflict, {409, "conflict"}},
        {Failure::timed_out, {504, "timed_out"}}};
    for (const auto& [failure, expected] : failures) {
        control.fail(shard::BridgeControl::Error{failure, "no \xff such"});
        for (const Answer& answer :
             {post("/api/v1/bridges/x/pause"), post("/api/v1/bridges/x/resume"),
              get("/api/v1/bridges/x/dead"), get("/api/v1/bridges/x/dead/1"),
              post("/api/v1/bridges/x/dead/retry", R"({"all": true})"),
              post("/api/v1/bridges/x/dead/drop", R"({"all": true})"), get("/api/v1/spools"),
              post("/api/v1/bridges/x/forget", R"({"all": true})")}) {
            EXPECT_EQ(answer.status, expected.first);
            EXPECT_EQ(json::parse(answer.body),
                      json({{"error", "no \xef\xbf\xbd such"}, {"failure", expected.second}}));
        }
    }
}

// A forgotten list must never mean all of them.
TEST_F(BridgeCommands, RefuseABodyThatIsNotAsExpected) {
    const std::string too_many = [] {
        json ids = json::array();
        for (std::size_t i = 0; i <= BridgeCommand::ids_max; ++i) ids.push_back(i);
        return json({{"ids", ids}}).dump();
    }();
    const std::string deep(100'000, '[');
    for (const char* body : {"",
                             "{",
                             "null",
                             "[]",
                             "{}",
                             R"({"ids": []})",
                             R"({"ids": null})",
                             R"({"ids": 1})",
                             R"({"ids": "1"})",
                             R"({"ids": [-1]})",
                             R"({"ids": [1.0]})",
                             R"({"ids": [1e3]})",
                             R"({"ids": [18446744073709551616]})",
                             R"({"ids": ["x"]})",
                             R"({"ids": [""]})",
                             R"({"ids": [1, null]})",
                             R"({"ids": [[1]]})",
                             R"({"ids": {"a": 1}})",
                             R"({"all": false})",
                             R"({"all": "true"})",
                             R"({"all": true, "ids": [1]})",
                             R"({"all": true, "x": 1})",
                             R"({"ids": [1]} x)",
                             "\xff",
                             too_many.c_str(),
                             deep.c_str()}) {
        for (const char* path : {"/api/v1/bridges/plant/dead/retry", "/api/v1/bridges/plant/dead/drop"}) {
            const Answer answer = post(path, body);
            EXPECT_EQ(answer.status, 400U) << std::string(body).substr(0, 100);
            EXPECT_EQ(error_of(answer),
                      "the body: expected {\"ids\": [ID, ...]} with 1 to 4096 ids, or "
                      "{\"all\": true}");
        }
    }
    for (const char* body : {"", "{", "{}", R"({"route": ""})", R"({"route": 1})", R"({"route": null})",
                             R"({"all": false})", R"({"all": true, "route": "x"})"}) {
        const Answer answer = post("/api/v1/bridges/plant/forget", body);
        EXPECT_EQ(answer.status, 400U) << body;
        EXPECT_EQ(error_of(answer), "the body: expected {\"route\": \"NAME\"}, or {\"all\": true}");
    }
    for (const char* body : {"x", "[]", R"({"route": "x"})", "null"})
        EXPECT_EQ(error_of(post("/api/v1/bridges/plant/pause", body)), "expected no body") << body;
    EXPECT_THAT(control.told(), ElementsAre());
}

TEST_F(BridgeCommands, RefuseAPathOrAQueryThatIsNotAsExpected) {
    for (const char* query : {"?x", "?x=1", "?after", "?after=", "?after=-1", "?after=x", "?count=0",
                              "?count=1001", "?count=1&x=2", "?after=18446744073709551616"}) {
        const Answer answer = get(std::string("/api/v1/bridges/plant/dead") + query);
        EXPECT_EQ(answer.status, 400U) << query;
        EXPECT_EQ(error_of(answer), "the query: expected after=ID and count=N, N from 1 to 1000") << query;
    }
    EXPECT_EQ(get("/api/v1/bridges/plant/dead?count=1&").status, 200U);
    for (const char* id : {"x", "-1", "1x", "", "18446744073709551616", "%31"}) {
        const Answer answer = get(std::string("/api/v1/bridges/plant/dead/") + id);
        EXPECT_EQ(answer.status, 400U) << id;
        EXPECT_EQ(error_of(answer), "the path: expected the number of a dead letter");
    }
    for (const char* name : {"%", "%1", "%zz", "a%"})
        EXPECT_EQ(post(std::string("/api/v1/bridges/") + name + "/pause").status, 400U) << name;
    for (const char* path : {"", "/", "/api/v1/bridges", "/api/v1/bridges/plant", "/api/v1/spools/",
                             "/api/v1/bridges/plant/pause/", "/api/v1/bridges/plant/dead/1/x", "/metrics"})
        EXPECT_EQ(get(path).status, 0U) << path;
}

TEST_F(BridgeCommands, AreNotGivenWithAnotherMethod) {
    for (const char* path :
         {"/api/v1/bridges/x/pause", "/api/v1/bridges/x/resume", "/api/v1/bridges/x/forget",
          "/api/v1/bridges/x/dead/retry", "/api/v1/bridges/x/dead/drop"}) {
        for (const char* method : {"GET", "HEAD", "PUT", "OPTIONS", "post"}) {
            const Answer answer = give({.method = method, .target = path, .mark = "1", .host = "localhost"});
            EXPECT_EQ(answer.status, 405U) << method << path;
            EXPECT_EQ(answer.allow, "POST");
        }
    }
    for (const char* path : {"/api/v1/bridges/x/dead", "/api/v1/bridges/x/dead/1", "/api/v1/spools"}) {
        EXPECT_EQ(post(path).status, 405U) << path;
        EXPECT_EQ(post(path).allow, "GET, HEAD");
    }
    EXPECT_THAT(control.told(), ElementsAre());
}

// What a page in the operator's browser can send, and what it cannot.
TEST_F(BridgeCommands, AreNotGivenByAWebPage) {
    CommandRequest request{.method = "POST", .target = "/api/v1/bridges/x/pause", .host = "127.0.0.1:9883"};
    for (const char* mark : {"", "0", "true", "1, 1"}) {
        request.mark = mark;
        EXPECT_EQ(give(request).status, 403U) << mark;
        EXPECT_THAT(error_of(give(request)), HasSubstr("X-Sluice-Request: 1"));
    }
    request.mark = "1";
    for (const char* origin :
         {"http://evil.example", "null", "", "http://127.0.0.1:9884", "http://127.0.0.1"}) {
        request.origin = origin;
        EXPECT_EQ(give(request).status, 403U) << origin;
        EXPECT_THAT(error_of(give(request)), HasSubstr("Origin"));
    }
    EXPECT_THAT(control.told(), ElementsAre());
    request.origin = "http://127.0.0.1:9883";
    EXPECT_EQ(give(request).status, 200U);
}

TEST(Percent, GoesBothWays) {
    EXPECT_EQ(encode_percent("aZ0-._~/ %\xc3\xa4?"), "aZ0-._~%2F%20%25%C3%A4%3F");
    EXPECT_EQ(decode_percent("%2F%20%c3%A4+"), "/ \xc3\xa4+");
    std::string all;
    for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
    EXPECT_EQ(decode_percent(encode_percent(all)), all);
    for (const char* wrong : {"%", "a%1", "%g0", "%0g", "%-1", "%+1"})
        EXPECT_FALSE(decode_percent(wrong)) << wrong;
}

}  // namespace
}  // namespace sluice::admin
