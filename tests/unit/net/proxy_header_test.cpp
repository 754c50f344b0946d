// The PROXY protocol: bytes as its specification and HAProxy write them.
#include "net/proxy_header.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/websocket.hpp"
#include "tests/unit/net/socket_support.hpp"
#include "tests/unit/net/tls_support.hpp"

namespace sluice::net {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string signature = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string v1 = "PROXY TCP4 192.0.2.7 198.51.100.1 51234 8883\r\n";

/// Version 2: version and command, family and protocol, the block.
std::string v2(int command, int family, const std::string& block) {
    return signature + static_cast<char>(command) + static_cast<char>(family) +
           static_cast<char>(block.size() >> 8) + static_cast<char>(block.size() & 255) + block;
}
const std::string block4 = "\xc0\x00\x02\x07\xc6\x33\x64\x01\xc8\x22\x22\xb3"s;
const std::string block6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"s +
                           std::string(16, '\x02') + "\xc8\x22\x22\xb3";
std::string extension(int type, const std::string& value) {
    return std::string(1, static_cast<char>(type)) + static_cast<char>(value.size() >> 8) +
           static_cast<char>(value.size() & 255) + value;
}

struct Heard {
    std::optional<std::string> failed;
    std::string behind;
    PeerIdentity identity;
    bool ready = false;
};

/// The pieces one after the other; the identity was the proxy's own before.
Heard hear(const std::vector<std::string>& pieces) {
    const auto filter = make_proxy_header_filter();
    Heard heard;
    heard.identity.address = "10.0.0.1:4000";
    heard.identity.ip = parse_ip("10.0.0.1");
    ByteBuffer plain, reply;
    for (const std::string& piece : pieces) {
        const auto received = filter->receive(as_bytes(piece), plain, reply);
        if (received.ok()) continue;
        heard.failed = received.error().what;
        return heard;
    }
    EXPECT_TRUE(reply.empty());
    heard.ready = filter->ready();
    heard.behind = as_text(plain);
    if (heard.ready) filter->identify(heard.identity);
    return heard;
}

void expect_address(const std::string& header, const std::string& address) {
    const std::string wire = header + "\x10\x0c\x00\x04MQTT";
    for (std::size_t at = 0; at <= wire.size(); ++at) {
        const Heard heard = hear({wire.substr(0, at), wire.substr(at)});
        ASSERT_EQ(heard.failed, std::nullopt) << at;
        ASSERT_TRUE(heard.ready);
        ASSERT_EQ(heard.identity.address, address) << at;
        ASSERT_EQ(heard.behind, "\x10\x0c\x00\x04MQTT") << at;
    }
    // Not whole: nothing is known, nothing is delivered.
    for (std::size_t size = 0; size < header.size(); ++size) {
        const Heard heard = hear({header.substr(0, size)});
        ASSERT_EQ(heard.failed, std::nullopt) << size;
        ASSERT_FALSE(heard.ready) << size;
    }
}

TEST(ProxyHeader, TextSplitAtEveryByte) {
    expect_address(v1, "192.0.2.7:51234");
    expect_address("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535");
    expect_address("PROXY TCP6 2001:db8::1 2001:db8::2 51234 8883\r\n", "[2001:db8::1]:51234");
    expect_address("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 0\r\n", "192.0.2.7:1");
}

TEST(ProxyHeader, TextOfAProxyThatDoesNotKnow) {
    expect_address("PROXY UNKNOWN\r\n", "10.0.0.1:4000");
    // The longest that the specification allows.
    expect_address(
        "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        "10.0.0.1:4000");
}

TEST(ProxyHeader, BinarySplitAtEveryByte) {
    expect_address(v2(0x21, 0x11, block4), "192.0.2.7:51234");
    expect_address(v2(0x21, 0x21, block6), "[2001:db8::1]:51234");
    std::string paths = "/run/client.sock";
    paths.resize(216);
    expect_address(v2(0x21, 0x31, paths), "unix:/run/client.sock");
    expect_address(v2(0x21, 0x31, std::string(216, '\0')), "unix");
}

TEST(ProxyHeader, BinaryOfAProxyThatSpeaksForItself) {
    expect_address(v2(0x20, 0x00, ""), "10.0.0.1:4000");
    expect_address(v2(0x20, 0x11, block4), "10.0.0.1:4000");
    expect_address(v2(0x20, 0xff, "whatever"), "10.0.0.1:4000");
    expect_address(v2(0x21, 0x00, "whatever"), "10.0.0.1:4000");
}

TEST(ProxyHeader, ExtensionsAreSkipped) {
    const std::string tls = extension(
        0x20, "\x01\x00\x00\x00\x00"s + extension(0x21, "TLSv1.3") + extension(0x22, "device-0001"));
    expect_address(
        v2(0x21, 0x11, block4 + extension(0x04, std::string(300, 'x')) + tls + extension(0xe0, "")),
        "192.0.2.7:51234");
}

TEST(ProxyHeader, PathsThatWouldForgeLogLinesAreLeftOut) {
    std::string paths = "/tmp/a\n2026-01-01 warn: forged";
    paths.resize(216);
    EXPECT_EQ(hear({v2(0x21, 0x31, paths)}).identity.address, "unix");
}

TEST(ProxyHeader, AddressIsKnownAsAValueToo) {
    EXPECT_EQ(hear({v1}).identity.ip, parse_ip("192.0.2.7"));
    EXPECT_EQ(hear({v2(0x21, 0x21, block6)}).identity.ip, parse_ip("2001:db8::1"));
    EXPECT_EQ(hear({"PROXY UNKNOWN\r\n"}).identity.ip, parse_ip("10.0.0.1"));
    EXPECT_EQ(hear({v2(0x21, 0x31, std::string(216, '\0'))}).identity.ip, std::nullopt);
}

TEST(ProxyHeader, WhatIsMalformedIsNamed) {
    const struct {
        std::string wire, fault;
    } cases[] = {
        {"\x10\x0c", "there is none (MQTT sent without a proxy to a port that requires one?)"},
        {"\x16\x03", "there is none (TLS sent without a proxy to a port that requires one?)"},
        {"GET / HTTP/1.1\r\n", "there is none"},
        {"POST / HTTP/1.1\r\n", "there is none"},
        {"\r\n\r\nX", "there is none"},
        {"PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n", "the protocol is none of TCP4, TCP6 and UNKNOWN"},
        {"PROXY \r\n", "the protocol is none of TCP4, TCP6 and UNKNOWN"},
        {"PROXY tcp4 192.0.2.7 198.51.100.1 1 2\r\n", "the protocol is none of TCP4, TCP6 and UNKNOWN"},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n", "the line has not two addresses and two ports"},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n", "the line has not two addresses and two ports"},
        {"PROXY TCP4 192.0.2.7  1 2\r\n", "an address is not valid"},
        {"PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n", "an address is not valid"},
        {"PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n", "an address is not valid"},
        {"PROXY TCP4 2001:db8::1 198.51.100.1 1 2\r\n", "an address is not valid"},
        {"PROXY TCP6 192.0.2.7 2001:db8::1 1 2\r\n", "an address is not valid"},
        {"PROXY TCP6 2001:db8::1 2001:db8::g 1 2\r\n", "an address is not valid"},
        {"PROXY TCP4 192.0.2.7\0 198.51.100.1 1 2\r\n"s, "an address is not valid"},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n", "a port is not valid"},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n", "a port is not valid"},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 -1 2\r\n", "a port is not valid"},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 1 \r\n", "a port is not valid"},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n", "the line does not end with CR LF"},
        {"PROXY UNKNOWN " + std::string(200, 'x'), "the line is too long"},
        {signature + "\x11", "the version is not 2"},
        {signature + "\x31", "the version is not 2"},
        {signature + "\x22", "the command is neither LOCAL nor PROXY"},
        {v2(0x21, 0x41, block4), "the address family or protocol is unknown"},
        {v2(0x21, 0x13, block4), "the address family or protocol is unknown"},
        {v2(0x21, 0x11, block4.substr(1)), "it is too short for its addresses"},
        {v2(0x21, 0x21, block4), "it is too short for its addresses"},
        {v2(0x21, 0x31, std::string(215, '\0')), "it is too short for its addresses"},
        {v2(0x21, 0x11, block4 + "\x04"), "an extension is cut off"},
        {v2(0x21, 0x11, block4 + "\x04\x00\x05xxxx"s), "an extension is cut off"},
        {signature + "\x21\x11\xff\xff", "it is too long"},
        {v2(0x20, 0x00, std::string(4081, 'x')), "it is too long"},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(hear({c.wire}).failed, "PROXY header: " + c.fault) << c.wire;
        std::vector<std::string> bytes;
        for (const char byte : c.wire) bytes.emplace_back(1, byte);
        EXPECT_EQ(hear(bytes).failed, "PROXY header: " + c.fault) << c.wire;
    }
    EXPECT_EQ(hear({v2(0x20, 0x00, std::string(4080, 'x'))}).failed, std::nullopt);
}

/// On a socket: the handler learns the address before it gets a byte, and the filter is gone afterwards.
class ProxyHeaderChannel : public ::testing::Test {
  protected:
    struct Handler final : test::Recorder {
        void on_introduced() override {
            introduced.push_back(channel->identity().address);
            if (abort_then) channel->abort();
        }
        Channel* channel = nullptr;
        bool abort_then = false;
        std::vector<std::string> introduced;
    };
    boost::asio::io_context context_;
    Handler handler_;
};

TEST_F(ProxyHeaderChannel, HandlerIsToldFirst) {
    for (std::size_t at = 0; at <= v1.size(); ++at) {
        auto pair = test::unix_pair(context_);
        Filters filters;
        filters.push_back(make_proxy_header_filter());
        Channel channel(std::move(pair.near), std::move(filters));
        Handler handler;
        handler.channel = &channel;
        channel.start(handler);
        pair.far.write(v1.substr(0, at));
        context_.restart();
        context_.poll();
        EXPECT_EQ(channel.ready(), at == v1.size());
        pair.far.write(v1.substr(at) + "hello");
        ASSERT_TRUE(test::run_until(context_, [&] { return handler.bytes == "hello"; })) << at;
        EXPECT_THAT(handler.introduced, ElementsAre("192.0.2.7:51234"));
        EXPECT_TRUE(channel.ready());
        channel.send(as_bytes("answer"));
        channel.flush();
        EXPECT_EQ(pair.far.read(6), "answer");
        pair.far.write("more");
        ASSERT_TRUE(test::run_until(context_, [&] { return handler.bytes == "hellomore"; }));
    }
}

TEST_F(ProxyHeaderChannel, HandlerMayRefuseThen) {
    auto pair = test::unix_pair(context_);
    Filters filters;
    filters.push_back(make_proxy_header_filter());
    Channel channel(std::move(pair.near), std::move(filters));
    handler_.channel = &channel;
    handler_.abort_then = true;
    channel.start(handler_);
    pair.far.write(v1 + "hello");
    ASSERT_TRUE(test::run_until(context_, [&] { return !channel.is_open(); }));
    EXPECT_EQ(handler_.bytes, "");
    EXPECT_TRUE(handler_.closed.empty());
}

TEST_F(ProxyHeaderChannel, MalformedClosesWithAReason) {
    auto pair = test::unix_pair(context_);
    Filters filters;
    filters.push_back(make_proxy_header_filter());
    Channel channel(std::move(pair.near), std::move(filters));
    handler_.channel = &channel;
    channel.start(handler_);
    pair.far.write("PROXY TCP4 nonsense\r\n");
    ASSERT_TRUE(test::run_until(context_, [&] { return !handler_.closed.empty(); }));
    EXPECT_THAT(handler_.closed, ElementsAre(HasSubstr("two addresses")));
    EXPECT_EQ(pair.far.read_to_end(), "");
}

TEST_F(ProxyHeaderChannel, BelowTlsAndWebSocket) {
    const auto tls = test::server(test::server_settings());
    auto pair = test::tcp_pair(context_);
    Filters filters;
    filters.push_back(make_proxy_header_filter());
    filters.push_back(tls->accept());
    filters.push_back(make_websocket_filter());
    Channel channel(std::move(pair.near), std::move(filters));
    handler_.channel = &channel;
    channel.start(handler_);
    test::TlsClient client({.ca = test::cert("ca.crt")});
    pair.far.write(v2(0x21, 0x11, block4));
    const auto converse = [&](const std::function<bool()>& done) {
        return test::run_until(context_, [&] {
            pair.far.write(as_text(std::exchange(client.out, {})));
            append(client.in, as_bytes(pair.far.read_available()));
            return done();
        });
    };
    ASSERT_TRUE(converse([&] { return client.shake(); }));
    client.write(
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Version: 13\r\n\r\n"
        "\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s);
    ASSERT_TRUE(converse([&] { return handler_.bytes == "Hello"; }));
    EXPECT_EQ(channel.identity().address, "192.0.2.7:51234");
    EXPECT_EQ(channel.identity().tls_version, "TLSv1.2");
}

}  // namespace
}  // namespace sluice::net
