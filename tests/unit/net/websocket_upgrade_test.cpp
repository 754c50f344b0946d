#include "net/websocket_upgrade.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/websocket_origin.hpp"
#include "tests/unit/net/websocket_session.hpp"

namespace sluice::net {
namespace {

using namespace std::string_literals;
using namespace test;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// The answer picks the subprotocol mqtt [MQTT-6.0.0-4], [MQTT-3.1.1:6.0.0-4].
TEST(WebSocketUpgrade, ExampleOfTheSpecification) {
    EXPECT_EQ(websocket::accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    for (const std::size_t chunk : {std::size_t{1}, std::size_t{3}, std::size_t{100}, SIZE_MAX}) {
        Session session(false);
        EXPECT_FALSE(session.filter->ready());
        session.get(request, chunk);
        EXPECT_EQ(session.failed, std::nullopt);
        EXPECT_TRUE(session.filter->ready());
        EXPECT_EQ(session.reply(), accepted);
    }
}

TEST(WebSocketUpgrade, SplitAtEveryByteWithTheFirstFrameBehindIt) {
    const std::string wire = request + frame(fin_binary, "connect");
    for (std::size_t at = 0; at <= wire.size(); ++at) {
        Session session(false);
        session.get(wire.substr(0, at));
        ASSERT_EQ(session.failed, std::nullopt);
        session.get(wire.substr(at));
        ASSERT_EQ(session.failed, std::nullopt);
        ASSERT_EQ(session.plain(), "connect") << at;
        ASSERT_EQ(session.reply(), accepted);
    }
}

TEST(WebSocketUpgrade, SpellingsThatAreAllowed) {
    for (const std::string& wire : {with("Connection: Upgrade", "connection:keep-alive,  upgrade"),
                                    with("Upgrade: websocket", "UPGRADE: WebSocket"),
                                    with("chat, mqtt", "mqtt"), with("chat, mqtt", "mqttv3.1, mqtt"),
                                    with("Sec-WebSocket-Protocol: chat, mqtt",
                                         "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: mqtt")}) {
        Session session(false);
        session.get(wire);
        EXPECT_EQ(session.failed, std::nullopt) << wire;
        EXPECT_EQ(session.reply(), accepted) << wire;
    }
    Session old(false);
    old.get(with("chat, mqtt", "mqttv3.1"));
    EXPECT_THAT(old.reply(), HasSubstr("Sec-WebSocket-Protocol: mqttv3.1\r\n"));
}

// Who does not offer mqtt is refused [MQTT-6.0.0-3], [MQTT-3.1.1:6.0.0-3].
TEST(WebSocketUpgrade, RefusalsAreHttpAndSayWhy) {
    const struct {
        std::string wire, status, fault;
    } cases[] = {
        {with("GET", "POST"), "405", "WebSocket: only GET begins a WebSocket"},
        {with("HTTP/1.1", "HTTP/1.0"), "400", "WebSocket: HTTP/1.1 is needed"},
        {"HELLO\r\n\r\n", "400", "WebSocket: the request is not HTTP"},
        {with("Host: server.localhost\r\n", ""), "400", "WebSocket: the request has no Host"},
        {with("Host: server", "Host: x\r\nHost: server"), "400", "WebSocket: the request has two Hosts"},
        {with("Origin: http", "Origin: null\r\nOrigin: http"), "400",
         "WebSocket: the request has two Origins"},
        {with("Upgrade: websocket\r\n", ""), "426",
         "WebSocket: this port speaks MQTT over WebSocket, not plain HTTP"},
        {with("Connection: Upgrade", "Connection: close"), "426",
         "WebSocket: this port speaks MQTT over WebSocket, not plain HTTP"},
        {with("Version: 13", "Version: 8"), "426", "WebSocket: WebSocket version 13 is needed"},
        {with("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), "400",
         "WebSocket: the Sec-WebSocket-Key is not valid"},
        {with("Sec-WebSocket-Key", "X-Key"), "400", "WebSocket: the Sec-WebSocket-Key is not valid"},
        {with("Origin", "Content-Length: 5\r\nOrigin") + "hello", "400", "WebSocket: the request has a body"},
        {with("Origin", "content-length: 00\r\nOrigin"), "400", "WebSocket: the request has a body"},
        {with("Origin", "Transfer-Encoding: chunked\r\nOrigin"), "400", "WebSocket: the request has a body"},
        {with("chat, mqtt", "chat"), "400", "WebSocket: none of the offered subprotocols is mqtt"},
        {with("Sec-WebSocket-Protocol: chat, mqtt\r\n", ""), "400",
         "WebSocket: the client must offer the subprotocol mqtt"},
        {with("Origin: http", "Origin http"), "400", "WebSocket: a header of the request is malformed"},
        {with("Origin", " Origin"), "400", "WebSocket: a header of the request is malformed"},
        {with("localhost\r\nUpgrade", "localhost\nX\r\nUpgrade"), "400",
         "WebSocket: a header of the request is malformed"},
    };
    for (const auto& c : cases) {
        Session session(false);
        session.get(c.wire);
        EXPECT_EQ(session.failed, c.fault);
        EXPECT_THAT(session.reply(), StartsWith("HTTP/1.1 " + c.status + " "));
        EXPECT_FALSE(session.filter->ready());
        ByteBuffer farewell;
        session.filter->close(farewell);
        EXPECT_TRUE(farewell.empty());
    }
    for (const std::string& wire : {with("Version: 13", "Version: 8"), with("Upgrade: websocket\r\n", "")}) {
        Session session(false);
        session.get(wire);
        EXPECT_THAT(session.reply(), HasSubstr("\r\nSec-WebSocket-Version: 13\r\n"));
        EXPECT_THAT(session.reply(), HasSubstr("\r\nUpgrade: websocket\r\n"));
        EXPECT_THAT(session.reply(), HasSubstr("\r\nConnection: Upgrade, close\r\n"));
    }
}

TEST(WebSocketUpgrade, ExtensionsAreNotNegotiated) {
    Session session(false);
    session.get(with("Origin", "Sec-WebSocket-Extensions: permessage-deflate\r\nOrigin"));
    EXPECT_EQ(session.reply(), accepted);
    session.get(frame(0xc2, "x"));
    EXPECT_EQ(session.failed, "WebSocket: a frame has reserved bits set");
}

TEST(WebSocketUpgrade, PathThatIsAskedFor) {
    for (const auto& [path, found] :
         {std::pair{"/mqtt", true}, std::pair{"/mqtt?token=1", true}, std::pair{"/", false},
          std::pair{"/mqtt/", false}, std::pair{"/Mqtt", false}}) {
        Session session(false, {.limits = {}, .path = "/mqtt", .origins = {}});
        session.get(with("/mqtt", path));
        EXPECT_EQ(session.failed.has_value(), !found) << path;
        EXPECT_THAT(session.reply(), StartsWith(found ? "HTTP/1.1 101 " : "HTTP/1.1 404 ")) << path;
    }
    Session any(false);
    any.get(with("/mqtt", "/anything/else"));
    EXPECT_EQ(any.reply(), accepted);
}

TEST(WebSocketUpgrade, ForeignPageIsRefused) {
    Session session(false);
    session.get(with("http://server.localhost", "https://evil.example/\x1b[31m"));
    EXPECT_EQ(session.failed,
              "WebSocket: pages of origin 'https://evil.example/?[31m' may not connect (listener.origins)");
    EXPECT_THAT(session.reply(), StartsWith("HTTP/1.1 403 "));
    EXPECT_EQ(session.reply().find("evil"), std::string::npos);
    EXPECT_FALSE(session.filter->ready());
    Session none(false);
    none.get(with("Origin: http://server.localhost\r\n", ""));
    EXPECT_EQ(none.reply(), accepted);
    Session listed(false, {.limits = {}, .path = "", .origins = {"https://dash.example"}});
    listed.get(with("http://server.localhost", "https://dash.example"));
    EXPECT_EQ(listed.reply(), accepted);
    Session unlisted(false, {.limits = {}, .path = "", .origins = {"https://dash.example"}});
    unlisted.get(request);
    EXPECT_THAT(unlisted.reply(), StartsWith("HTTP/1.1 403 "));
}

TEST(WebSocketOrigin, Normalized) {
    EXPECT_EQ(normalize_origin("HTTPS://Dash.Example"), "https://dash.example");
    EXPECT_EQ(normalize_origin("https://dash.example:443"), "https://dash.example");
    EXPECT_EQ(normalize_origin("http://dash.example:443"), "http://dash.example:443");
    EXPECT_EQ(normalize_origin("http://[::1]:80"), "http://[::1]");
    EXPECT_EQ(normalize_origin("chrome-extension://abcdef"), "chrome-extension://abcdef");
    EXPECT_EQ(normalize_origin("null"), "null");
    EXPECT_EQ(normalize_origin("*"), "*");
    for (const char* text :
         {"", "dash.example", "https://", "://x", "https://x/", "https://x/path", "https://x:", "https://x:y",
          "https://x:123456", "https://a@x", "https://[::1", "https://[x]", "https://x y", "h ttp://x"})
        EXPECT_EQ(normalize_origin(text), std::nullopt) << text;
}

TEST(WebSocketOrigin, WithoutAListOnlyTheSameHost) {
    const auto may = [](const char* origin, const char* host) {
        return may_connect(origin, host, {}, "Gw.Example");
    };
    EXPECT_TRUE(may("http://gw.example", "gw.example:8083"));
    EXPECT_TRUE(may("https://GW.example:8443", "gw.Example:8083"));
    EXPECT_TRUE(may("http://192.0.2.7", "192.0.2.7:8083"));
    EXPECT_TRUE(may("http://[2001:db8::1]:8080", "[2001:db8::1]"));
    EXPECT_TRUE(may("http://localhost:3000", "127.0.0.1:8083"));
    EXPECT_TRUE(may("http://127.0.0.1", "[::1]:8083"));
    EXPECT_TRUE(may("http://gw", "gw:8083"));
    EXPECT_TRUE(may("http://gw.local", "GW.local:8083"));
    EXPECT_TRUE(may("http://x.localhost", "x.localhost"));
    EXPECT_FALSE(may("https://evil.example", "gw.example"));
    EXPECT_FALSE(may("https://gw.example.evil.example", "gw.example"));
    EXPECT_FALSE(may("https://evil.example", "127.0.0.1:8083"));
    EXPECT_FALSE(may("https://localhost.evil.example", "localhost"));
    EXPECT_FALSE(may("null", "gw.example"));
    EXPECT_FALSE(may("", "gw.example"));
    EXPECT_FALSE(may("*", "gw.example"));
    EXPECT_FALSE(may("https://gw.example", ""));
}

// A page of evil.example, whose name server has led the browser here meanwhile.
TEST(WebSocketOrigin, ANameThatAnybodyMayLeadHereIsNotTheSameHost) {
    EXPECT_FALSE(may_connect("http://evil.example:8083", "evil.example:8083", {}, "gw.example"));
    EXPECT_FALSE(may_connect("http://gw.evil.example", "gw.evil.example", {}, "gw.example"));
    EXPECT_FALSE(may_connect("http://example", "example", {}, "gw.example"));
    EXPECT_FALSE(may_connect("http://.local", ".local", {}, ""));
    EXPECT_FALSE(may_connect("http://evil.example", "evil.example", {}));
    const std::vector<std::string> list{"http://evil.example"};
    EXPECT_TRUE(may_connect("http://evil.example", "evil.example", list, "gw.example"));
}

TEST(WebSocketOrigin, WithAListOnlyThose) {
    const std::vector<std::string> list{"https://dash.example", "null"};
    EXPECT_TRUE(may_connect("https://dash.example", "gw", list));
    EXPECT_TRUE(may_connect("https://DASH.example:443", "gw", list));
    EXPECT_TRUE(may_connect("null", "gw", list));
    EXPECT_FALSE(may_connect("http://dash.example", "gw", list));
    EXPECT_FALSE(may_connect("https://dash.example:8443", "gw", list));
    EXPECT_FALSE(may_connect("https://gw", "gw", list));
    const std::vector<std::string> all{"*"};
    EXPECT_TRUE(may_connect("https://evil.example", "gw", all));
    EXPECT_TRUE(may_connect("null", "gw", all));
}

TEST(WebSocketUpgrade, TheRequestIsBounded) {
    Session session(false);
    session.get("GET / HTTP/1.1\r\nX: " + std::string(100000, 'x'), 1000);
    EXPECT_EQ(session.failed, "WebSocket: the request is too long");
    EXPECT_THAT(session.reply(), StartsWith("HTTP/1.1 431 "));
}

TEST(WebSocketUpgrade, OtherProtocolsAreNamed) {
    for (const auto& [wire, why] :
         {std::pair{"\x10\x0c"s, "WebSocket: not HTTP at all (plain MQTT sent to a WebSocket port?)"},
          std::pair{"\x16\x03"s, "WebSocket: not HTTP at all (TLS sent to a port without TLS?)"},
          std::pair{"\xff"s, "WebSocket: not HTTP at all"}}) {
        Session session(false);
        session.get(wire);
        EXPECT_EQ(session.failed, why);
        EXPECT_EQ(session.reply(), "");
    }
}

}  // namespace
}  // namespace sluice::net
