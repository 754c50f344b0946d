#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <thread>

#include "base/bytes.hpp"
#include "base/core_time.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "base/memory_gauge.hpp"
#include "base/quote.hpp"
#include "base/ref_ptr.hpp"
#include "base/result.hpp"
#include "base/ring.hpp"
#include "base/settings.hpp"
#include "tests/support/thread_time.hpp"

namespace sluice {
namespace {

TEST(MemoryGauge, CountsWhatComesFromOperatorNew) {
    const auto before = memory_gauge::total();
    const auto grown = memory_gauge::grown_here();
    struct alignas(256) Wide {
        std::uint8_t bytes[4096];
    };
    {
        const auto plain = std::make_unique<std::uint8_t[]>(10'000);
        const auto wide = std::make_unique<Wide>();
        const auto many = std::make_unique<Wide[]>(3);
        const std::unique_ptr<std::uint8_t> maybe(new (std::nothrow) std::uint8_t);
        const std::unique_ptr<Wide> maybe_wide(new (std::nothrow) Wide);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(wide.get()) % 256, 0U);
        EXPECT_GE(memory_gauge::total(), before + 10'000 + 5 * sizeof(Wide));
        EXPECT_LT(memory_gauge::total(), before + 20'000 + 6 * sizeof(Wide));
    }
    EXPECT_EQ(memory_gauge::total(), before);
    EXPECT_GE(memory_gauge::grown_here(), grown + 30'000);
}

TEST(MemoryGauge, ABlockMayBeLetGoOnAnotherThread) {
    auto block = std::make_unique<std::uint8_t[]>(100'000);
    const auto before = memory_gauge::total();
    std::thread([block = std::move(block)]() mutable { block.reset(); }).join();
    EXPECT_LT(memory_gauge::total(), before - 90'000);
}

TEST(MemoryGauge, AShareIsTakenOffWithItsOwner) {
    const auto before = memory_gauge::kept();
    {
        memory_gauge::Kept one;
        one.set(100);
        one.set(70);
        memory_gauge::Kept other = std::move(one);
        EXPECT_EQ(memory_gauge::kept(), before + 70);
        memory_gauge::Kept third;
        third.set(5);
        third = std::move(other);
        EXPECT_EQ(third.bytes(), 70U);
        EXPECT_EQ(one.bytes(), 0U);  // NOLINT(bugprone-use-after-move): that is the point
    }
    EXPECT_EQ(memory_gauge::kept(), before);
    const auto total = memory_gauge::total();
    memory_gauge::Foreign foreign;
    foreign.set(1000);
    EXPECT_EQ(memory_gauge::total(), total + 1000);
}

TEST(Ring, CountsItsBlockAndGivesItBackWhenItFits) {
    const auto before = memory_gauge::total();
    {
        Ring<std::uint64_t> ring;
        for (std::uint64_t i = 0; i < 1000; ++i) ring.push_back(i);
        EXPECT_GE(memory_gauge::total(), before + 1024 * sizeof(std::uint64_t));
        EXPECT_LT(memory_gauge::total(), before + 1200 * sizeof(std::uint64_t));
        for (int i = 0; i < 900; ++i) ring.pop_front();
        ring.fit();
        EXPECT_LT(memory_gauge::total(), before + 300 * sizeof(std::uint64_t));
        ASSERT_EQ(ring.size(), 100U);
        for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(ring[i], 900 + i);
        ring.push_back(1000);
        EXPECT_EQ(ring.back(), 1000U);
    }
    EXPECT_EQ(memory_gauge::total(), before);
}

TEST(Ring, IsOnePointerAndHoldsNothingOnceItIsAskedToFit) {
    EXPECT_EQ(sizeof(Ring<std::uint64_t>), sizeof(void*));
    const auto before = memory_gauge::total();
    Ring<std::uint64_t> ring;
    for (int round = 0; round < 3; ++round) {
        ring.push_back(1);
        ring.pop_front();
    }
    EXPECT_GT(memory_gauge::total(), before);  // so that the next one does not allocate
    ring.fit();
    EXPECT_EQ(memory_gauge::total(), before);
    EXPECT_TRUE(ring.empty());
    ring.push_back(2);
    EXPECT_EQ(ring.front(), 2U);
}

/// What a thread gets that has made this wish.
test::ThreadTime time_of(void (*wish)()) {
    test::ThreadTime time;
    std::thread([&] {
        wish();
        time = test::thread_time(0);
    }).join();
    return time;
}

TEST(CoreTime, PromptThreadsHaveAShortSliceAndNoMoreTimeThanOthers) {
    const auto ordinary = test::thread_time(0), prompt = time_of(core_time::run_promptly);
    EXPECT_EQ(prompt.policy, ordinary.policy);
    EXPECT_EQ(prompt.nice, ordinary.nice);
    if (ordinary.slice_ns == 0) GTEST_SKIP() << "from Linux 6.12 on a thread may choose its slice";
    EXPECT_EQ(prompt.slice_ns, 100'000U);
    EXPECT_GT(ordinary.slice_ns, prompt.slice_ns) << "nobody else's is changed";
}

TEST(CoreTime, WhoGivesWayIsBehindOthersAndNotOut) {
    const auto ordinary = test::thread_time(0), behind = time_of(core_time::give_way);
    if (ordinary.nice > 14) GTEST_SKIP() << "the tests themselves are as far behind as there is";
    EXPECT_EQ(behind.policy, ordinary.policy);
    EXPECT_EQ(behind.nice, ordinary.nice + 5);
    EXPECT_EQ(test::thread_time(0).nice, ordinary.nice) << "nobody else's is changed";
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
