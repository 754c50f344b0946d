#include "listener/connection_counts.hpp"

#include <gtest/gtest.h>

namespace sluice::listener {
namespace {

net::IpAddress ip(const char* text) {
    return *net::parse_ip(text);
}

TEST(ConnectionCounts, AddressIsFullUntilOneLeaves) {
    const RefPtr<ConnectionCounts> counts(new ConnectionCounts);
    auto first = counts->enter(ip("192.0.2.7"), 2);
    auto second = counts->enter(ip("192.0.2.7"), 2);
    ASSERT_TRUE(first && second);
    EXPECT_FALSE(counts->enter(ip("192.0.2.7"), 2));
    EXPECT_EQ(counts->total(), 2U);
    auto other = counts->enter(ip("192.0.2.8"), 2);
    EXPECT_TRUE(other);
    first.reset();
    EXPECT_EQ(counts->of(ip("192.0.2.7")), 1U);
    EXPECT_TRUE(counts->enter(ip("192.0.2.7"), 2));
    EXPECT_EQ(counts->of(ip("192.0.2.7")), 1U) << "a lease that nobody keeps is given back";
    EXPECT_EQ(counts->total(), 2U);
}

TEST(ConnectionCounts, HostsOfOneIPv6NetworkCountTogether) {
    const RefPtr<ConnectionCounts> counts(new ConnectionCounts);
    const auto first = counts->enter(ip("2001:db8:0:1::1"), 1);
    ASSERT_TRUE(first);
    EXPECT_FALSE(counts->enter(ip("2001:db8:0:1:ffff::2"), 1));
    EXPECT_TRUE(counts->enter(ip("2001:db8:0:2::1"), 1));
}

TEST(ConnectionCounts, WithoutLimitOrAddressAllComeIn) {
    const RefPtr<ConnectionCounts> counts(new ConnectionCounts);
    std::vector<std::unique_ptr<net::SocketLease>> leases;
    for (int i = 0; i < 100; ++i) {
        leases.push_back(counts->enter(ip("192.0.2.7"), 0));
        leases.push_back(counts->enter(std::nullopt, 1));
    }
    for (const auto& lease : leases) EXPECT_TRUE(lease);
    EXPECT_EQ(counts->total(), 200U);
    // A limit that comes with a reload finds what was counted before.
    EXPECT_FALSE(counts->enter(ip("192.0.2.7"), 100));
    leases.clear();
    EXPECT_EQ(counts->total(), 0U);
    EXPECT_EQ(counts->of(ip("192.0.2.7")), 0U);
}

TEST(ConnectionCounts, LeaseOutlivesTheOwner) {
    std::unique_ptr<net::SocketLease> lease;
    {
        const RefPtr<ConnectionCounts> counts(new ConnectionCounts);
        lease = counts->enter(ip("::1"), 1);
    }
    lease.reset();
}

}  // namespace
}  // namespace sluice::listener
