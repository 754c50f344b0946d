#include "net/websocket.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "net/channel.hpp"
#include "net/websocket_origin.hpp"
#include "net/websocket_upgrade.hpp"
#include "tests/unit/net/socket_support.hpp"
#include "tests/unit/net/tls_support.hpp"

namespace sluice::net {
namespace {

using namespace std::string_literals;
using test::feed;
using test::pattern;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// RFC 6455, section 1.2 and 1.3, with MQTT's subprotocol.
const std::string request =
    "GET /mqtt HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://server.example.com\r\n"
    "Sec-WebSocket-Protocol: chat, mqtt\r\nSec-WebSocket-Version: 13\r\n\r\n";
const std::string accepted =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

std::string with(const std::string& from, const std::string& to) {
    std::string changed = request;
    changed.replace(changed.find(from), from.size(), to);
    return changed;
}

/// A filter and what it said.
struct Session {
    std::unique_ptr<Filter> filter;
    ByteBuffer plain_bytes, reply_bytes;
    std::optional<std::string> failed;

    explicit Session(bool open = true, const WebSocketRules& rules = {})
        : filter(make_websocket_filter(std::make_shared<const WebSocketRules>(rules))) {
        if (open) get(request);
        if (open) reply_bytes.clear();
    }
    void get(const std::string& wire, std::size_t chunk = SIZE_MAX) {
        failed = feed(*filter, as_bytes(wire), plain_bytes, reply_bytes, chunk);
    }
    std::string plain() const { return std::string(as_text(plain_bytes)); }
    std::string reply() const { return std::string(as_text(reply_bytes)); }
};

std::string frame(int first, const std::string& payload, const std::string& mask = "\x37\xfa\x21\x3d") {
    std::string out(1, static_cast<char>(first));
    ByteBuffer length;
    if (payload.size() < 126) {
        length.push_back(static_cast<std::uint8_t>(128 | payload.size()));
    } else if (payload.size() < 65536) {
        length.push_back(128 | 126);
        append_u16(length, static_cast<std::uint16_t>(payload.size()));
    } else {
        length.push_back(128 | 127);
        append_u64(length, payload.size());
    }
    out += as_text(length);
    out += mask;
    for (std::size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(payload[i] ^ mask[i & 3]);
    return out;
}
constexpr int fin_binary = 0x82, fin_ping = 0x89, fin_pong = 0x8a, fin_close = 0x88;

std::string closed_with(int code) {
    return "\x88\x02"s + static_cast<char>(code >> 8) + static_cast<char>(code & 255);
}

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
        {with("Host: server.example.com\r\n", ""), "400", "WebSocket: the request has no Host"},
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
        {with("chat, mqtt", "chat"), "400", "WebSocket: none of the offered subprotocols is mqtt"},
        {with("Sec-WebSocket-Protocol: chat, mqtt\r\n", ""), "400",
         "WebSocket: the client must offer the subprotocol mqtt"},
        {with("Origin: http", "Origin http"), "400", "WebSocket: a header of the request is malformed"},
        {with("Origin", " Origin"), "400", "WebSocket: a header of the request is malformed"},
        {with("example.com\r\nUpgrade", "example.com\nX\r\nUpgrade"), "400",
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
    session.get(with("http://server.example.com", "https://evil.example/\x1b[31m"));
    EXPECT_EQ(session.failed,
              "WebSocket: pages of origin 'https://evil.example/?[31m' may not connect (listener.origins)");
    EXPECT_THAT(session.reply(), StartsWith("HTTP/1.1 403 "));
    EXPECT_EQ(session.reply().find("evil"), std::string::npos);
    EXPECT_FALSE(session.filter->ready());
    Session none(false);
    none.get(with("Origin: http://server.example.com\r\n", ""));
    EXPECT_EQ(none.reply(), accepted);
    Session listed(false, {.limits = {}, .path = "", .origins = {"https://dash.example"}});
    listed.get(with("http://server.example.com", "https://dash.example"));
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
    const auto may = [](const char* origin, const char* host) { return may_connect(origin, host, {}); };
    EXPECT_TRUE(may("http://gw.example", "gw.example:8083"));
    EXPECT_TRUE(may("https://GW.example:8443", "gw.Example:8083"));
    EXPECT_TRUE(may("http://192.0.2.7", "192.0.2.7:8083"));
    EXPECT_TRUE(may("http://[2001:db8::1]:8080", "[2001:db8::1]"));
    EXPECT_TRUE(may("http://localhost:3000", "127.0.0.1:8083"));
    EXPECT_TRUE(may("http://127.0.0.1", "[::1]:8083"));
    EXPECT_FALSE(may("https://evil.example", "gw.example"));
    EXPECT_FALSE(may("https://gw.example.evil.example", "gw.example"));
    EXPECT_FALSE(may("https://evil.example", "127.0.0.1:8083"));
    EXPECT_FALSE(may("https://localhost.evil.example", "localhost"));
    EXPECT_FALSE(may("null", "gw.example"));
    EXPECT_FALSE(may("", "gw.example"));
    EXPECT_FALSE(may("*", "gw.example"));
    EXPECT_FALSE(may("https://gw.example", ""));
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

// RFC 6455, section 5.7: the masked "Hello", as binary.
TEST(WebSocketFrames, ExamplesOfTheSpecification) {
    Session session;
    session.get("\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s);
    EXPECT_EQ(session.plain(), "Hello");
    session.get("\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s);
    EXPECT_EQ(session.reply(), "\x8a\x05Hello");
    ByteBuffer wire;
    ASSERT_TRUE(session.filter->send(as_bytes(std::string(256, 'x')), wire).ok());
    EXPECT_EQ(as_text(wire), "\x82\x7e\x01\x00"s + std::string(256, 'x'));
    wire.clear();
    ASSERT_TRUE(session.filter->send(as_bytes(std::string(65536, 'x')), wire).ok());
    EXPECT_EQ(as_text(wire), "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s + std::string(65536, 'x'));
    wire.clear();
    ASSERT_TRUE(session.filter->send(as_bytes("Hello"), wire).ok());
    EXPECT_EQ(as_text(wire), "\x82\x05Hello");
}

TEST(WebSocketFrames, AnySizeInPiecesOfAnySize) {
    for (const std::size_t chunk :
         {std::size_t{1}, std::size_t{3}, std::size_t{7}, std::size_t{8}, std::size_t{1000}, SIZE_MAX}) {
        Session session;
        std::string expected, wire;
        for (const std::size_t size : {0U, 1U, 7U, 8U, 9U, 125U, 126U, 127U, 4000U, 65535U, 65536U}) {
            expected += pattern(size, static_cast<unsigned>(size));
            wire += frame(fin_binary, pattern(size, static_cast<unsigned>(size)),
                          pattern(4, static_cast<unsigned>(size)));
        }
        session.get(wire, chunk);
        EXPECT_EQ(session.failed, std::nullopt);
        EXPECT_TRUE(session.plain() == expected) << chunk;
    }
}

// [MQTT-6.0.0-2], [MQTT-3.1.1:6.0.0-2]
TEST(WebSocketFrames, FragmentsWithAPingBetween) {
    const std::string wire = frame(0x02, "one ") + frame(fin_ping, "?") + frame(0x00, "two ") +
                             frame(fin_pong, "!") + frame(0x80, "three") + frame(fin_binary, ".");
    for (const std::size_t chunk : {std::size_t{1}, std::size_t{5}, SIZE_MAX}) {
        Session session;
        session.get(wire, chunk);
        EXPECT_EQ(session.failed, std::nullopt);
        EXPECT_EQ(session.plain(), "one two three.");
        EXPECT_EQ(session.reply(), "\x8a\x01?");
    }
}

// A text frame among them [MQTT-6.0.0-1], [MQTT-3.1.1:6.0.0-1].
TEST(WebSocketFrames, ViolationsCloseTheConnection) {
    const struct {
        std::string wire;
        int code;
        const char* fault;
    } cases[] = {
        {"\x82\x05Hello", 1002, "WebSocket: a frame is not masked"},
        {frame(0xc2, "x"), 1002, "WebSocket: a frame has reserved bits set"},
        {frame(0x81, "x"), 1003, "WebSocket: a text frame; MQTT is binary"},
        {frame(0x83, "x"), 1002, "WebSocket: a frame of an unknown kind"},
        {frame(0x8b, "x"), 1002, "WebSocket: a frame of an unknown kind"},
        {frame(0x80, "x"), 1002, "WebSocket: a continuation without a beginning"},
        {frame(0x02, "x") + frame(fin_binary, "y"), 1002, "WebSocket: a new message inside a fragmented one"},
        {frame(0x09, "x"), 1002, "WebSocket: a control frame is fragmented or too long"},
        {frame(fin_ping, std::string(126, 'x')), 1002,
         "WebSocket: a control frame is fragmented or too long"},
        {"\x82\xfe\x00\x7d\x01\x02\x03\x04"s, 1002,
         "WebSocket: a frame's length is not encoded as it should be"},
        {"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04"s, 1002,
         "WebSocket: a frame's length is not encoded as it should be"},
        {"\x82\xff\x80\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04"s, 1002,
         "WebSocket: a frame's length is not encoded as it should be"},
        {"\x82\xff\x00\x00\x00\x00\x10\x00\x00\x01\x01\x02\x03\x04"s, 1009,
         "WebSocket: a frame is too large"},
        {frame(fin_close, "x"), 1002, "WebSocket: a close frame with half a code"},
        {frame(fin_close, "\x03\xed"), 1002, "WebSocket: a close frame with an impossible code"},
        {frame(fin_close, "\x03\xe8\xc0\xaf"), 1007, "WebSocket: a close frame whose reason is not UTF-8"},
        {frame(fin_close, "\x03\xe8\xed\xa0\x80"), 1007,
         "WebSocket: a close frame whose reason is not UTF-8"},
        {frame(fin_close, "\x03\xe8\xe2\x82"), 1007, "WebSocket: a close frame whose reason is not UTF-8"},
        {frame(fin_close, "\x03\xe8\xf5\x80\x80\x80"), 1007,
         "WebSocket: a close frame whose reason is not UTF-8"},
    };
    for (const auto& c : cases) {
        for (const std::size_t chunk : {std::size_t{1}, SIZE_MAX}) {
            Session session;
            session.get(frame(fin_binary, "before") + c.wire, chunk);
            EXPECT_EQ(session.failed, c.fault);
            EXPECT_EQ(session.reply(), closed_with(c.code)) << c.fault;
            EXPECT_EQ(session.plain().substr(0, 6), "before");
        }
    }
}

TEST(WebSocketFrames, CloseIsAnsweredWithItsCode) {
    Session session;
    session.get(frame(fin_binary, "disconnect") + frame(fin_close, "\x03\xe9going away"));
    EXPECT_EQ(session.failed, "closed by the peer");
    EXPECT_EQ(session.plain(), "disconnect");
    EXPECT_EQ(session.reply(), closed_with(1001));
    ByteBuffer more;
    session.filter->close(more);
    EXPECT_TRUE(more.empty());
    EXPECT_FALSE(session.filter->send(as_bytes("x"), more).ok());
    Session reason;
    reason.get(frame(fin_close, "\x03\xe8\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf"));
    EXPECT_EQ(reason.reply(), closed_with(1000));
    Session empty;
    empty.get(frame(fin_close, ""));
    EXPECT_EQ(empty.reply(), closed_with(1000));
}

TEST(WebSocketFrames, OurFarewell) {
    Session session;
    ByteBuffer wire;
    session.filter->close(wire);
    EXPECT_EQ(as_text(wire), closed_with(1000));
}

TEST(WebSocketFrames, GarbageAfterTheUpgradeEndsSafely) {
    for (unsigned seed = 0; seed < 500; ++seed) {
        Session session;
        session.get(pattern(300, seed), 1 + seed % 40);
    }
}

// MQTT over WebSocket over TLS, on a socket.
TEST(WebSocketChannel, OverTls) {
    const auto tls = test::server(test::server_settings());
    boost::asio::io_context context;
    auto pair = test::tcp_pair(context);
    Filters filters;
    filters.push_back(tls->accept());
    filters.push_back(make_websocket_filter());
    Channel channel(std::move(pair.near), std::move(filters));
    test::Recorder handler;
    channel.start(handler);
    test::TlsClient client({.ca = test::cert("ca.crt")});
    const auto converse = [&](const std::function<bool()>& done) {
        return test::run_until(context, [&] {
            pair.far.write(as_text(std::exchange(client.out, {})));
            append(client.in, as_bytes(pair.far.read_available()));
            return done();
        });
    };
    ASSERT_TRUE(converse([&] { return client.shake(); }));
    std::string got;
    client.write(request);
    ASSERT_TRUE(converse([&] { return (got += client.read()) == accepted; }));
    EXPECT_TRUE(channel.ready());
    EXPECT_EQ(channel.identity().tls_version, "TLSv1.2");
    client.write(frame(fin_binary, "connect") + frame(fin_ping, "?"));
    got.clear();
    ASSERT_TRUE(converse([&] { return (got += client.read()) == "\x8a\x01?"; }));
    EXPECT_EQ(handler.bytes, "connect");
    channel.send(as_bytes("connack"));
    channel.close_after_flush();
    got.clear();
    ASSERT_TRUE(converse([&] {
        got += client.read();
        return client.closed_by_server;
    }));
    EXPECT_EQ(got,
              "\x82\x07"
              "connack" +
                  closed_with(1000));
}

// Pongs that nobody reads must not pile up here.
TEST(WebSocketChannel, FloodOfPingsIsBounded) {
    boost::asio::io_context context;
    auto pair = test::unix_pair(context);
    Filters filters;
    filters.push_back(make_websocket_filter());
    Channel channel(std::move(pair.near), std::move(filters));
    test::Recorder handler;
    channel.start(handler);
    pair.far.write(request);
    ASSERT_TRUE(test::run_until(context, [&] { return channel.ready(); }));
    EXPECT_EQ(pair.far.read(accepted.size()), accepted);
    std::string pings;
    for (int i = 0; i < 1000; ++i) pings += frame(fin_ping, std::string(125, 'x'));
    std::size_t sent = 0;
    std::string left;
    for (int i = 0; i < 300; ++i) {  // 39 MB unless the channel stops reading
        if (left.empty()) left = pings;
        const ssize_t n = ::send(pair.far.fd(), left.data(), left.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            left.erase(0, static_cast<std::size_t>(n));
            sent += static_cast<std::size_t>(n);
        }
        context.poll();
    }
    EXPECT_LT(channel.unsent_bytes(), 1000000U);
    EXPECT_GT(channel.unsent_bytes(), 200000U);
    // It goes on when the answers are read.
    std::string got;
    const std::size_t expected = sent / 131 * 127;
    EXPECT_TRUE(test::run_until(context, [&] {
        got += pair.far.read_available();
        return got.size() >= expected;
    }));
}

}  // namespace
}  // namespace sluice::net
