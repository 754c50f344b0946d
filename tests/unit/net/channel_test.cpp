#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "tests/unit/net/channel_fixture.hpp"

namespace sluice::net {
namespace {

using test::ChannelTest;
using test::message_of;
using test::Pair;
using test::pattern;
using test::Recorder;
using test::run_until;
using namespace std::chrono_literals;

TEST_F(ChannelTest, ReceivesAndSends) {
    Pair pair = test::tcp_pair(context);
    Channel channel(std::move(pair.near));
    EXPECT_TRUE(channel.ready());
    EXPECT_EQ(channel.identity().address.substr(0, 10), "127.0.0.1:");
    channel.start(handler);
    pair.far.write("hello");
    ASSERT_TRUE(run_until(context, [&] { return handler.bytes == "hello"; }));
    channel.send(as_bytes("a"));
    channel.send(as_bytes("bc"));
    EXPECT_EQ(channel.unsent_bytes(), 3U);
    channel.flush();
    EXPECT_EQ(channel.unsent_bytes(), 0U);
    EXPECT_EQ(pair.far.read(3), "abc");
}

TEST_F(ChannelTest, OneCallForAllBytesOfOneRead) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near));
    EXPECT_EQ(channel.identity().address, "unix");
    const std::string sent = pattern(20000);
    pair.far.write(sent);
    channel.start(handler);
    ASSERT_TRUE(run_until(context, [&] { return handler.bytes.size() == sent.size(); }));
    EXPECT_EQ(handler.bytes, sent);
    EXPECT_EQ(handler.calls, 1);
}

TEST_F(ChannelTest, EverySizeAroundTheInlineBufferArrives) {
    for (std::size_t size : {1U, 127U, 128U, 129U, 255U, 256U, 257U, 65535U, 65536U, 65537U, 400000U}) {
        Pair pair = test::tcp_pair(context);
        Recorder recorder;
        Channel channel(std::move(pair.near));
        channel.start(recorder);
        const std::string sent = pattern(size);
        std::thread writer([&] { pair.far.write(sent); });
        EXPECT_TRUE(run_until(context, [&] { return recorder.bytes.size() == size; }));
        writer.join();
        EXPECT_EQ(recorder.bytes, sent) << size;
    }
}

TEST_F(ChannelTest, SlowReaderGetsEverythingAndThenTheChannelIsWritable) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near));
    channel.start(handler);
    std::string expected;
    for (unsigned i = 0; i < 200; ++i) {
        const std::string body = pattern(5000 + i, i);
        const auto message = message_of(body);
        channel.send(as_bytes("head"));
        channel.send({{message->payload(), true}}, message);
        expected += "head" + body;
    }
    channel.flush();
    EXPECT_GT(channel.unsent_bytes(), 0U);
    EXPECT_EQ(handler.writable, 0);
    std::string got;
    ASSERT_TRUE(run_until(context, [&] {
        got += pair.far.read_available();
        return handler.writable == 1;
    }));
    EXPECT_EQ(channel.unsent_bytes(), 0U);
    got += pair.far.read(expected.size() - got.size());
    EXPECT_EQ(got, expected);
}

TEST_F(ChannelTest, FlushWhileBlockedKeepsTheOrder) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near));
    channel.start(handler);
    const std::string big = pattern(1 << 20);
    channel.send(as_bytes(big));
    channel.flush();
    channel.send(as_bytes("last"));
    channel.flush();
    std::thread reader([&] { EXPECT_EQ(pair.far.read(big.size() + 4), big + "last"); });
    EXPECT_TRUE(run_until(context, [&] { return channel.unsent_bytes() == 0; }));
    reader.join();
}

TEST_F(ChannelTest, PausedChannelDeliversNothingUntilResumed) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near));
    handler.when_bytes = [&] { channel.pause_reading(); };
    channel.start(handler);
    pair.far.write("one");
    ASSERT_TRUE(run_until(context, [&] { return handler.calls == 1; }));
    pair.far.write("two");
    EXPECT_FALSE(run_until(
        context, [&] { return handler.calls == 2; }, 50ms));
    channel.resume_reading();
    ASSERT_TRUE(run_until(context, [&] { return handler.calls == 2; }));
    EXPECT_EQ(handler.bytes, "onetwo");
}

// A read was already under way when the owner paused: its bytes wait, none is lost.
TEST_F(ChannelTest, BytesThatComeWhilePausedWaitInTheSocket) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near));
    channel.start(handler);
    context.poll();
    channel.pause_reading();
    pair.far.write(pattern(300));
    EXPECT_FALSE(run_until(
        context, [&] { return handler.calls > 0; }, 50ms));
    EXPECT_TRUE(channel.detachable());  // nothing of them is here
    channel.resume_reading();
    ASSERT_TRUE(run_until(context, [&] { return handler.bytes.size() == 300; }));
    EXPECT_EQ(handler.bytes, pattern(300));
}

TEST_F(ChannelTest, ReportsTheEndOfThePeerAfterItsLastBytes) {
    Pair pair = test::tcp_pair(context);
    Channel channel(std::move(pair.near));
    channel.start(handler);
    pair.far.write(pattern(1000));
    pair.far.close();
    ASSERT_TRUE(run_until(context, [&] { return !handler.closed.empty(); }));
    EXPECT_EQ(handler.bytes, pattern(1000));
    EXPECT_EQ(handler.closed, std::vector<std::string>{"closed by the peer"});
    EXPECT_FALSE(channel.is_open());
    channel.send(as_bytes("ignored"));
    channel.flush();
    channel.close_after_flush();
    channel.abort();
    context.restart();
    context.poll();
    EXPECT_EQ(handler.closed.size(), 1U);
}

// A write to a dead peer is reported from the io_context, not from inside flush().
TEST_F(ChannelTest, WriteErrorIsReportedLater) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near));
    handler.when_bytes = [&] { channel.pause_reading(); };
    channel.start(handler);
    pair.far.write("x");
    ASSERT_TRUE(run_until(context, [&] { return handler.calls == 1; }));
    pair.far.close();
    channel.send(as_bytes("y"));
    channel.flush();
    EXPECT_TRUE(handler.closed.empty());
    ASSERT_TRUE(run_until(context, [&] { return !handler.closed.empty(); }));
    EXPECT_EQ(handler.closed[0], "connection reset by the peer");
}

TEST_F(ChannelTest, MayBeDestroyedInsideAnyCallback) {
    for (const int callback : {0, 1, 2}) {
        Pair pair = test::unix_pair(context);
        auto recorder = std::make_unique<Recorder>();
        auto channel = std::make_optional<Channel>(std::move(pair.near));
        bool destroyed = false;
        const auto destroy = [&] {
            // The handler goes too: the function object that runs lives in it, so keep it until the end.
            static std::unique_ptr<Recorder> grave;
            destroyed = true;
            channel.reset();
            grave = std::move(recorder);
        };
        if (callback == 0) recorder->when_bytes = destroy;
        if (callback == 1) recorder->when_closed = destroy;
        if (callback == 2) recorder->when_writable = destroy;
        channel->start(*recorder);
        if (callback == 0) pair.far.write(pattern(200000));
        if (callback == 1) pair.far.close();
        if (callback == 2) {
            channel->send(as_bytes(pattern(1 << 20)));
            channel->flush();
        }
        EXPECT_TRUE(run_until(context, [&] {
            if (callback == 2) (void)pair.far.read_available();
            return destroyed;
        })) << callback;
        context.restart();
        context.poll();
    }
}

TEST_F(ChannelTest, ExceptionInACallbackEndsOnlyThisConnection) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near));
    handler.when_bytes = [] { throw std::runtime_error("bug"); };
    channel.start(handler);
    pair.far.write("x");
    ASSERT_TRUE(run_until(context, [&] { return !handler.closed.empty(); }));
    EXPECT_EQ(handler.closed[0], "internal error: bug");
}

TEST_F(ChannelTest, CloseAfterFlushSendsEverythingEvenWhenTheChannelIsGone) {
    Pair pair = test::tcp_pair(context);
    auto channel = std::make_optional<Channel>(std::move(pair.near));
    channel->start(handler);
    const std::string big = pattern(3 << 20);
    channel->send(as_bytes(big));
    channel->close_after_flush(5s);
    channel.reset();
    std::string got;
    std::atomic<bool> done = false;
    std::thread reader([&] {
        got = pair.far.read_to_end();
        pair.far.close();
        done = true;
    });
    EXPECT_TRUE(run_until(context, [&] { return done.load(); }));
    reader.join();
    EXPECT_TRUE(got == big);
    EXPECT_EQ(handler.closed.size() + static_cast<std::size_t>(handler.writable), 0U);
    // Nothing is left to do: the socket is closed, the timer gone.
    EXPECT_TRUE(run_until(
        context, [&] { return context.stopped(); }, 1s));
}

// Unread input at close would make the kernel reset the connection and destroy the farewell.
TEST_F(ChannelTest, CloseAfterFlushIsNotDestroyedByUnreadInput) {
    Pair pair = test::tcp_pair(context);
    Channel channel(std::move(pair.near));
    channel.start(handler);
    pair.far.write(pattern(100000));
    channel.send(as_bytes("bye"));
    channel.close_after_flush();
    std::string got;
    ASSERT_TRUE(run_until(context, [&] {
        got += pair.far.read_available();
        return got.size() == 3;
    }));
    EXPECT_EQ(got, "bye");
    EXPECT_EQ(handler.calls, 0);
}

TEST_F(ChannelTest, CloseAfterFlushDoesNotWaitForAPeerThatDoesNotRead) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near));
    channel.start(handler);
    channel.send(as_bytes(pattern(4 << 20)));
    channel.close_after_flush(50ms);
    EXPECT_FALSE(channel.is_open());
    EXPECT_TRUE(run_until(
        context, [&] { return context.stopped(); }, 3s));
    EXPECT_EQ(channel.unsent_bytes(), 0U);
    EXPECT_LT(pair.far.read_to_end().size(), std::size_t{4 << 20});
}

TEST_F(ChannelTest, AbortClosesAtOnce) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near));
    channel.start(handler);
    channel.send(as_bytes("never"));
    channel.abort();
    EXPECT_EQ(pair.far.read_to_end(), "");
    context.poll();
    EXPECT_TRUE(handler.closed.empty());
}

}  // namespace
}  // namespace sluice::net
