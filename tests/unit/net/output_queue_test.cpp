#include "net/output_queue.hpp"

#include <gtest/gtest.h>

#include "base/memory_gauge.hpp"
#include "net/thread_buffers.hpp"
#include "tests/unit/net/socket_support.hpp"

namespace sluice::net {
namespace {

core::MessagePtr message_of(std::string_view payload) {
    core::Message::Fields fields;
    fields.topic = "t";
    fields.payload = as_bytes(payload);
    return core::Message::freeze(fields);
}

TEST(OutputQueue, KeepsTheOrderOfCopiesAndReferences) {
    const std::string big = test::pattern(4000);
    const auto message = message_of(big);
    OutputQueue queue;
    queue.append_copy(as_bytes("head"));
    queue.append_parts({{message->payload(), true}}, message);
    queue.append_copy(as_bytes("tail"));
    queue.append_parts({{message->payload().first(10), true}}, message);
    EXPECT_EQ(queue.bytes(), 4018U);
    ByteBuffer scratch;
    EXPECT_EQ(as_text(queue.peek(100000, scratch)), "head" + big + "tail" + big.substr(0, 10));
}

// Which are copied, and which of these together, is not to be seen outside.
TEST(OutputQueue, KeepsTheOrderOfThePartsOfAPacket) {
    const std::string big = test::pattern(OutputQueue::reference_bytes_min);
    const std::string small = test::pattern(OutputQueue::reference_bytes_min - 1);
    OutputQueue queue;
    std::string expected;
    for (const std::string& first : {std::string(), small, big}) {
        for (const std::string& second : {std::string(), small, big}) {
            const auto message = message_of(second);
            queue.append_parts({{as_bytes("head")},
                                {as_bytes(message->topic()), true},
                                {as_bytes(first)},
                                {{}, true},
                                {message->payload(), true}},
                               message);
            expected += "headt" + first + second;
            EXPECT_EQ(queue.bytes(), expected.size());
        }
    }
    ByteBuffer scratch;
    EXPECT_EQ(as_text(queue.peek(expected.size(), scratch)), expected);
}

TEST(OutputQueue, CountsWhatItTakesToReferToAMessage) {
    constexpr std::size_t times = 1000;
    const auto message = message_of(test::pattern(4000));
    (void)ThreadBuffers::mine();  // made once, and not by a queue
    const auto before = memory_gauge::total();
    OutputQueue queue;
    for (std::size_t i = 0; i < times; ++i) {
        queue.append_copy(as_bytes("head"));
        queue.append_parts({{message->payload(), true}}, message);
    }
    // Two segments each, with their pointers and lengths.
    EXPECT_GT(memory_gauge::total(), before + times * 2 * 40);
    queue.consume(queue.bytes() - 8000);
    EXPECT_LT(memory_gauge::total(), before + times * 2 * 20) << "a short queue has a short table";
    OutputQueue other = std::move(queue);
    other.clear();
    EXPECT_LT(memory_gauge::total(), before + 16 * 1024) << "the thread keeps some buffers for the next one";
}

TEST(OutputQueue, GivesBackExactlyTheRestAfterEachConsume) {
    for (std::size_t step : {1U, 3U, 7U, 511U, 512U, 513U, 5000U}) {
        const std::string big = test::pattern(1200);
        const auto message = message_of(big);
        OutputQueue queue;
        std::string expected;
        for (int i = 0; i < 5; ++i) {
            queue.append_copy(as_bytes("abc"));
            queue.append_parts({{message->payload(), true}}, message);
            expected += "abc" + big;
        }
        std::string got;
        ByteBuffer scratch;
        while (!queue.empty()) {
            const Bytes part = queue.peek(step, scratch);
            ASSERT_FALSE(part.empty());
            got += as_text(part);
            queue.consume(part.size());
        }
        EXPECT_EQ(got, expected) << "step " << step;
    }
}

// A long queue to a slow reader lets go of what was taken, it does not grow for ever.
TEST(OutputQueue, LongQueuesStayExact) {
    OutputQueue queue;
    const auto message = message_of(test::pattern(600));
    ByteBuffer scratch;
    std::size_t in = 0, out = 0;
    for (int i = 0; i < 2000; ++i) {
        queue.append_parts({{message->payload(), true}}, message);
        in += 600;
        if (i > 500) {
            out += queue.peek(600, scratch).size();
            queue.consume(600);
        }
    }
    EXPECT_EQ(queue.bytes(), in - out);
}

TEST(OutputQueue, MovesWhole) {
    OutputQueue queue;
    queue.append_copy(as_bytes("hello"));
    OutputQueue other = std::move(queue);
    EXPECT_TRUE(queue.empty());  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(other.bytes(), 5U);
    queue.append_copy(as_bytes("x"));
    EXPECT_EQ(queue.bytes(), 1U);
}

}  // namespace
}  // namespace sluice::net
