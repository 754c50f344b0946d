#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "base/memory_gauge.hpp"
#include "base/quote.hpp"
#include "base/ref_ptr.hpp"
#include "base/result.hpp"
#include "base/ring.hpp"
#include "base/settings.hpp"

namespace sluice {
namespace {

TEST(Ring, CountsItsBlockAndGivesItBackWhenItFits) {
    const auto before = memory_gauge::total();
    {
        Ring<std::uint64_t> ring;
        for (std::uint64_t i = 0; i < 1000; ++i) ring.push_back(i);
        EXPECT_EQ(memory_gauge::total(), before + 1024 * sizeof(std::uint64_t));
        for (int i = 0; i < 900; ++i) ring.pop_front();
        ring.fit();
        EXPECT_LE(memory_gauge::total(), before + 256 * sizeof(std::uint64_t));
        ASSERT_EQ(ring.size(), 100U);
        for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(ring[i], 900 + i);
        ring.push_back(1000);
        EXPECT_EQ(ring.back(), 1000U);
    }
    EXPECT_EQ(memory_gauge::total(), before);
}

TEST(Result, HoldsAValueOrAnError) {
    Result<int, std::string> good = 7;
    Result<int, std::string> bad = Err{std::string("no")};
    ASSERT_TRUE(good.ok());
    EXPECT_EQ(*good, 7);
    ASSERT_FALSE(bad.ok());
    EXPECT_EQ(bad.error(), "no");
}

TEST(Result, AbortsWhenTheErrorIsIgnored) {
    const Result<int, std::string> bad = Err{std::string("no")};
    EXPECT_DEATH((void)bad.value(), "CHECK failed");
}

struct Counted : RefCounted<Counted> {
    explicit Counted(int& destroyed) : destroyed_(destroyed) {}
    static void destroy(const Counted* c) {
        ++c->destroyed_;
        delete c;
    }
    int& destroyed_;
};

TEST(RefPtr, DestroysOnceAfterTheLastOwner) {
    int destroyed = 0;
    {
        RefPtr<Counted> a(new Counted(destroyed));
        RefPtr<Counted> b = a;
        a = {};
        EXPECT_EQ(destroyed, 0);
        b = RefPtr<Counted>(b.get());
        EXPECT_EQ(destroyed, 0);
    }
    EXPECT_EQ(destroyed, 1);
}

// A retained flag is a natural name for a member of a message; it once hid the count's own function.
struct WithRetain : RefCounted<WithRetain> {
    explicit WithRetain(int& destroyed) : destroyed_(destroyed) {}
    static void destroy(const WithRetain* object) {
        ++object->destroyed_;
        delete object;
    }
    bool retain() const { return true; }
    void release() const {}
    int& destroyed_;
};

TEST(RefPtr, CountsWhateverItsObjectNamesItsMembers) {
    int destroyed = 0;
    { const RefPtr<const WithRetain> a(new WithRetain(destroyed)); }
    EXPECT_EQ(destroyed, 1);
}

TEST(Bytes, BigEndianBothWays) {
    ByteBuffer out;
    append_u64(out, 0x0102030405060708ULL);
    EXPECT_EQ(out, (ByteBuffer{1, 2, 3, 4, 5, 6, 7, 8}));
    EXPECT_EQ(read_u64(out.data()), 0x0102030405060708ULL);
    EXPECT_EQ(read_u16(out.data() + 6), 0x0708);
}

// The value decides which shard is home to a client and must never change between versions.
TEST(StableHash, IsStable) {
    EXPECT_NE(stable_hash("a"), stable_hash("b"));
    EXPECT_EQ(stable_hash(""), stable_hash(std::string_view{}));
    EXPECT_EQ(stable_hash("sluice"), 0xbd29935a5ebc643dULL);
}

struct Sample {
    bool flag = false;
    std::uint16_t number = 0;
    std::chrono::seconds time{0};
    std::optional<std::string> name;
};

TEST(Settings, RowsAssignIntoTheirMembers) {
    Sample s;
    bind_setting<&Sample::flag>(&s, true);
    bind_setting<&Sample::number>(&s, std::int64_t{42});
    bind_setting<&Sample::time>(&s, std::int64_t{3000});
    bind_setting<&Sample::name>(&s, std::string("x"));
    EXPECT_TRUE(s.flag);
    EXPECT_EQ(s.number, 42);
    EXPECT_EQ(s.time, std::chrono::seconds(3));
    EXPECT_EQ(s.name, "x");
}

TEST(Log, QuotesAStrangersWordsShortly) {
    EXPECT_EQ(log::quote(""), "''");
    EXPECT_EQ(log::quote("dev-7"), "'dev-7'");
    const std::string hundred(100, 'x');
    EXPECT_EQ(log::quote(hundred), "'" + hundred + "'");
    EXPECT_EQ(log::quote(hundred + "y"), "'" + hundred + "...' (101 bytes)");
    EXPECT_EQ(log::quote(std::string(99, 'x') + "ü"), "'" + std::string(99, 'x') + "...' (101 bytes)");
}

TEST(RateLimit, LetsOneThroughPerIntervalAndCountsTheRest) {
    log::RateLimit limit(1000);
    std::uint64_t suppressed = 0;
    EXPECT_TRUE(limit.allow(5000, suppressed));
    EXPECT_FALSE(limit.allow(5001, suppressed));
    EXPECT_FALSE(limit.allow(5999, suppressed));
    EXPECT_TRUE(limit.allow(6000, suppressed));
    EXPECT_EQ(suppressed, 2U);
}

}  // namespace
}  // namespace sluice
