#include "net/websocket.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "net/channel.hpp"
#include "tests/unit/net/socket_support.hpp"
#include "tests/unit/net/websocket_session.hpp"

namespace sluice::net {
namespace {

using namespace std::string_literals;
using namespace test;

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
