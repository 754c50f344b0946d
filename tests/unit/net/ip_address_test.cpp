#include "net/ip_address.hpp"

#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>

#include "base/bytes.hpp"

namespace sluice::net {
namespace {

TEST(IpAddress, TextAndBack) {
    for (const char* text :
         {"127.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1"}) {
        const auto address = parse_ip(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(text_of(*address), text);
    }
    EXPECT_EQ(parse_ip("::ffff:192.0.2.7"), parse_ip("192.0.2.7"));
    for (const char* text : {"", "1.2.3", "1.2.3.4.5", "[::1]", "::1%lo", "localhost", "1.2.3.4:80", " ::1"})
        EXPECT_FALSE(parse_ip(text)) << text;
    EXPECT_FALSE(parse_ip(std::string_view("::1\0", 4)));
}

TEST(IpAddress, Kinds) {
    EXPECT_TRUE(parse_ip("127.9.9.9")->is_loopback());
    EXPECT_TRUE(parse_ip("::1")->is_loopback());
    EXPECT_FALSE(parse_ip("::2")->is_loopback());
    EXPECT_FALSE(parse_ip("128.0.0.1")->is_loopback());
    EXPECT_TRUE(parse_ip("0.0.0.0")->is_any());
    EXPECT_TRUE(parse_ip("::")->is_any());
    EXPECT_FALSE(parse_ip("::1")->is_any());
}

TEST(IpAddress, IsCountedByHostOrBySixtyFourBits) {
    EXPECT_EQ(counted_as(*parse_ip("192.0.2.7")), *parse_ip("192.0.2.7"));
    EXPECT_NE(counted_as(*parse_ip("192.0.2.7")), counted_as(*parse_ip("192.0.2.8")));
    EXPECT_EQ(counted_as(*parse_ip("2001:db8:0:1::7")), counted_as(*parse_ip("2001:db8:0:1:ffff::8")));
    EXPECT_NE(counted_as(*parse_ip("2001:db8:0:1::7")), counted_as(*parse_ip("2001:db8:0:2::7")));
    EXPECT_EQ(counted_as(*parse_ip("::ffff:192.0.2.7")), *parse_ip("192.0.2.7"));
    EXPECT_NE(counted_as(*parse_ip("fe80::7")), counted_as(*parse_ip("fe80::8"))) << "neighbours";
    EXPECT_EQ(counted_as(*parse_ip("fec0::7")), counted_as(*parse_ip("fec0::8")));
}

TEST(IpNetwork, Contains) {
    const struct {
        const char *network, *inside, *outside;
    } cases[] = {
        {"192.0.2.7", "192.0.2.7", "192.0.2.8"},
        {"10.0.0.0/8", "10.255.1.2", "11.0.0.0"},
        {"10.1.2.3/8", "10.255.1.2", "11.0.0.0"},
        {"192.0.2.128/25", "192.0.2.200", "192.0.2.127"},
        {"0.0.0.0/0", "203.0.113.1", "2001:db8::1"},
        {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"},
        {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
        {"::1", "::1", "127.0.0.1"},
    };
    for (const auto& c : cases) {
        const auto network = parse_network(c.network);
        ASSERT_TRUE(network) << c.network;
        EXPECT_TRUE(network->contains(*parse_ip(c.inside))) << c.network;
        EXPECT_FALSE(network->contains(*parse_ip(c.outside))) << c.network;
    }
    EXPECT_TRUE(parse_network("::/0")->contains(*parse_ip("192.0.2.7")));
    for (const char* text :
         {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/8x", "10.0.0.0/-1", "net"})
        EXPECT_FALSE(parse_network(text)) << text;
}

TEST(IpAddress, OfSocketAddresses) {
    sockaddr_storage address{};
    auto& v4 = reinterpret_cast<sockaddr_in&>(address);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(1883);
    v4.sin_addr.s_addr = htonl(0xc0000207);
    EXPECT_EQ(endpoint_text(address), "192.0.2.7:1883");
    EXPECT_EQ(ip_of(address), parse_ip("192.0.2.7"));
    address = {};
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(1883);
    v6.sin6_addr.s6_addr[0] = 0xfe;
    v6.sin6_addr.s6_addr[1] = 0x80;
    v6.sin6_addr.s6_addr[15] = 1;
    EXPECT_EQ(endpoint_text(address), "[fe80::1]:1883");
    v6.sin6_scope_id = if_nametoindex("lo");
    ASSERT_NE(v6.sin6_scope_id, 0U);
    EXPECT_EQ(endpoint_text(address), "[fe80::1%lo]:1883");
    // An IPv4 client of a socket for both families.
    address = {};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(1883);
    const auto mapped = parse_ip("192.0.2.7");
    std::copy(mapped->bytes.begin(), mapped->bytes.end(), v6.sin6_addr.s6_addr);
    EXPECT_EQ(endpoint_text(address), "192.0.2.7:1883");
    address = {};
    address.ss_family = AF_UNIX;
    EXPECT_EQ(endpoint_text(address), "unix");
    EXPECT_EQ(ip_of(address), std::nullopt);
}

}  // namespace
}  // namespace sluice::net
