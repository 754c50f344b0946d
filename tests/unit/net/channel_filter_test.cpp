// Channel with filters, and its way to another thread.
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

/// Adds one to each byte towards the wire and asks for a "hi" of the client first.
class TestFilter : public Filter {
  public:
    Result<void, FilterError> receive(Bytes wire, ByteBuffer& plain, ByteBuffer& reply) override {
        for (const std::uint8_t byte : wire) {
            if (greeting_.size() < 2) {
                greeting_ += static_cast<char>(byte);
                if (greeting_ == "hi") append(reply, as_bytes("welcome "));
                continue;
            }
            if (byte == '!') {
                append(reply, as_bytes("alert"));
                return Err{FilterError{"an exclamation mark"}};
            }
            plain.push_back(static_cast<std::uint8_t>(byte - 1));
        }
        return {};
    }
    Result<void, FilterError> send(Bytes plain, ByteBuffer& wire) override {
        for (const std::uint8_t byte : plain) wire.push_back(static_cast<std::uint8_t>(byte + 1));
        return {};
    }
    void close(ByteBuffer& wire) override {
        if (ready()) append(wire, as_bytes("."));
    }
    bool ready() const override { return greeting_ == "hi"; }
    void identify(PeerIdentity& identity) const override { identity.common_name = greeting_; }

  private:
    std::string greeting_;
};

Filters test_filters(std::size_t count = 1) {
    Filters filters;
    for (std::size_t i = 0; i < count; ++i) filters.push_back(std::make_unique<TestFilter>());
    return filters;
}

TEST_F(ChannelTest, FilterHandshakeAndWaitingOutput) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near), test_filters());
    EXPECT_FALSE(channel.ready());
    channel.start(handler);
    channel.send(as_bytes("abc"));
    channel.flush();
    EXPECT_EQ(channel.unsent_bytes(), 3U);
    pair.far.write("hiBCD");
    ASSERT_TRUE(run_until(context, [&] { return handler.bytes == "ABC"; }));
    EXPECT_TRUE(channel.ready());
    EXPECT_EQ(channel.identity().common_name, "hi");
    EXPECT_EQ(pair.far.read(11), "welcome bcd");
    channel.send(as_bytes("x"));
    channel.close_after_flush();
    EXPECT_EQ(pair.far.read_to_end(), "y.");
}

TEST_F(ChannelTest, FilterErrorDeliversWhatCameBeforeAndSendsItsReply) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near), test_filters());
    channel.start(handler);
    pair.far.write("hiBC!D");
    ASSERT_TRUE(run_until(context, [&] { return !handler.closed.empty(); }));
    EXPECT_EQ(handler.bytes, "AB");
    EXPECT_EQ(handler.closed[0], "an exclamation mark");
    EXPECT_EQ(pair.far.read_to_end(), "welcome alert.");
}

TEST_F(ChannelTest, TwoAndThreeFiltersNest) {
    for (const std::size_t count : {2U, 3U}) {
        Pair pair = test::unix_pair(context);
        Recorder recorder;
        Channel channel(std::move(pair.near), test_filters(count));
        channel.start(recorder);
        channel.send(as_bytes("abc"));
        channel.flush();
        std::string greeting = "hi", text = "ABC", reply = "welcome ", answer = "abc";
        const auto up = [](std::string s, std::size_t by) {
            for (char& c : s) c = static_cast<char>(c + static_cast<char>(by));
            return s;
        };
        std::string wire, expected;
        for (std::size_t level = 0; level < count; ++level) {
            wire += up(greeting, level);
            expected += up(reply, level);
        }
        pair.far.write(wire + up(text, count));
        EXPECT_TRUE(run_until(context, [&] { return recorder.bytes == text; }));
        expected += up(answer, count);
        EXPECT_EQ(pair.far.read(expected.size()), expected);
    }
}

TEST_F(ChannelTest, FilteredOutputToASlowReaderIsExact) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near), test_filters());
    channel.start(handler);
    const std::string body(100000, 'a');
    const auto message = message_of(body);
    for (int i = 0; i < 20; ++i) channel.send({{message->payload(), true}}, message);
    pair.far.write("hi");
    ASSERT_TRUE(run_until(context, [&] { return channel.ready(); }));
    EXPECT_GT(channel.unsent_bytes(), 1000000U);
    std::string got;
    EXPECT_TRUE(run_until(context, [&] {
        got += pair.far.read_available();
        return got.size() == 8 + 20 * body.size();
    }));
    EXPECT_TRUE(got == "welcome " + std::string(20 * body.size(), 'b'));
}

TEST_F(ChannelTest, DetachedInsideOnBytesGoesOnInAnotherThread) {
    Pair pair = test::tcp_pair(context);
    Channel channel(std::move(pair.near), test_filters());
    std::optional<DetachedChannel> moved;
    handler.when_bytes = [&] {
        channel.send(as_bytes("abc"));  // not flushed: goes along
        moved = channel.detach(as_bytes("rest"));
    };
    channel.start(handler);
    pair.far.write("hiB");
    ASSERT_TRUE(run_until(context, [&] { return moved.has_value(); }));
    EXPECT_FALSE(channel.is_open());
    pair.far.write("CD");
    std::thread other([&moved] {
        boost::asio::io_context home;
        Recorder recorder;
        Channel arrived(home, std::move(*moved));
        EXPECT_TRUE(arrived.ready());
        EXPECT_EQ(arrived.identity().common_name, "hi");
        EXPECT_EQ(arrived.identity().address.substr(0, 10), "127.0.0.1:");
        arrived.start(recorder);
        EXPECT_TRUE(run_until(home, [&] { return recorder.bytes == "restBC"; }));
        arrived.send(as_bytes("bye"));
        arrived.close_after_flush();
        EXPECT_TRUE(run_until(home, [&] { return home.stopped(); }));
    });
    EXPECT_EQ(pair.far.read_to_end(), "welcome bcdczf.");
    pair.far.close();
    other.join();
    EXPECT_TRUE(handler.closed.empty());
}

// The way of a listener: CONNECT is complete, the authenticator takes its time, then the channel moves.
TEST_F(ChannelTest, DetachesWhilePaused) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near));
    handler.when_bytes = [&] { channel.pause_reading(); };
    channel.start(handler);
    pair.far.write("connect");
    ASSERT_TRUE(run_until(context, [&] { return handler.calls == 1; }));
    pair.far.write(" more");
    EXPECT_FALSE(run_until(
        context, [&] { return handler.calls == 2; }, 20ms));
    ASSERT_TRUE(channel.detachable());
    Recorder next;
    Channel arrived(context, channel.detach(as_bytes("connect")));
    arrived.start(next);
    ASSERT_TRUE(run_until(context, [&] { return next.bytes == "connect more"; }));
}

// What a slow reader had not taken yet moves too, in order.
TEST_F(ChannelTest, DetachTakesUnsentOutputAlong) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near), test_filters());
    std::optional<DetachedChannel> moved;
    const std::string body = std::string(1 << 20, 'a') + "z";
    handler.when_bytes = [&] {
        channel.send(as_bytes(body));
        channel.flush();
        moved = channel.detach();
    };
    channel.start(handler);
    pair.far.write("hiB");
    ASSERT_TRUE(run_until(context, [&] { return moved.has_value(); }));
    Recorder next;
    Channel arrived(context, std::move(*moved));
    EXPECT_GT(arrived.unsent_bytes(), 500000U);
    arrived.start(next);
    std::string got;
    ASSERT_TRUE(run_until(context, [&] {
        got += pair.far.read_available();
        return got.size() == 8 + body.size();
    }));
    EXPECT_TRUE(got == "welcome " + std::string(1 << 20, 'b') + "{");
    EXPECT_EQ(next.writable, 1);
}

TEST_F(ChannelTest, DetachedAndForgottenClosesTheSocket) {
    Pair pair = test::unix_pair(context);
    {
        Channel channel(std::move(pair.near));
        const DetachedChannel moved = channel.detach();
        EXPECT_GE(moved.fd, 0);
    }
    EXPECT_EQ(pair.far.read_to_end(), "");
}

// Tear-down: the shard's thread has ended, main destroys what it held.
TEST_F(ChannelTest, MayBeDestroyedByAnotherThreadWhenItsOwnHasEnded) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near));
    std::thread shard([&] {
        channel.start(handler);
        context.poll();
    });
    shard.join();
    channel = Channel(context, DetachedChannel());
    EXPECT_EQ(pair.far.read_to_end(), "");
}

TEST_F(ChannelTest, ContextMayEndBeforeItsLastOperations) {
    Recorder recorder;
    auto home = std::make_unique<boost::asio::io_context>();
    Pair pair = test::unix_pair(*home);
    {
        Channel channel(std::move(pair.near));
        channel.start(recorder);
        home->poll();
        channel.send(as_bytes(pattern(1 << 20)));
        channel.close_after_flush(5s);
    }
    home.reset();
    EXPECT_LT(pair.far.read_to_end().size(), std::size_t{1 << 20});
}

// All that a client has to say and its farewell in one breath: the bytes are for the next owner, and then it
// is over.
TEST_F(ChannelTest, AnEndWaitsForBytesThatWereNotLookedAt) {
    for (const bool inside : {true, false}) {
        SCOPED_TRACE(inside ? "detached inside on_bytes" : "detached later");
        Pair pair = test::unix_pair(context);
        Recorder first;
        Channel channel(std::move(pair.near), test_filters());
        std::optional<DetachedChannel> moved;
        first.when_bytes = [&] {
            channel.pause_reading();
            if (inside) moved = channel.detach(as_bytes("AB"));
        };
        channel.start(first);
        pair.far.write("hiBC!");
        ASSERT_TRUE(run_until(context, [&] { return first.bytes == "AB"; }));
        if (!inside) moved = channel.detach(as_bytes("AB"));
        EXPECT_TRUE(first.closed.empty());

        Recorder second;
        Channel arrived(context, std::move(*moved));
        arrived.start(second);
        ASSERT_TRUE(run_until(context, [&] { return !second.closed.empty(); }));
        EXPECT_EQ(second.bytes, "AB");
        EXPECT_EQ(second.closed[0], "an exclamation mark");
    }
}

TEST_F(ChannelTest, AnEndWaitsForAPausedHandler) {
    Pair pair = test::unix_pair(context);
    Channel channel(std::move(pair.near), test_filters());
    handler.when_bytes = [&] { channel.pause_reading(); };
    channel.start(handler);
    pair.far.write("hiBC!");
    ASSERT_TRUE(run_until(context, [&] { return handler.bytes == "AB"; }));
    EXPECT_EQ(pair.far.read(13), "welcome alert") << "the answer does not wait";
    EXPECT_TRUE(handler.closed.empty());
    channel.resume_reading();
    ASSERT_TRUE(run_until(context, [&] { return !handler.closed.empty(); }));
    EXPECT_EQ(handler.closed[0], "an exclamation mark");
}

}  // namespace
}  // namespace sluice::net
