// What the steps on the way of a message cost by themselves: `./dev bench --micro`.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "core/message.hpp"
#include "core/topic_tree.hpp"
#include "shard/mailbox.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"
#include "wire/frame_reader.hpp"

namespace sluice {
namespace {

constexpr std::string_view topic = "farm/7/barn/3/temperature";

Bytes bytes_of(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

wire::Publish sample(const std::string& payload) {
    wire::Publish packet;
    packet.topic = topic;
    packet.qos = wire::QoS::at_least_once;
    packet.packet_id = 7;
    packet.payload = bytes_of(payload);
    return packet;
}

void encode_publish(benchmark::State& state) {
    const std::string payload(static_cast<std::size_t>(state.range(0)), 'x');
    const wire::Publish packet = sample(payload);
    ByteBuffer out;
    for (auto _ : state) {
        out.clear();
        wire::encode_publish(out, wire::Version::v5, packet);
        benchmark::DoNotOptimize(out.data());
    }
}
BENCHMARK(encode_publish)->Arg(64)->Arg(1024);

/// A read of 64 packets: cut and decoded.
void cut_and_decode_64_publishes(benchmark::State& state) {
    const std::string payload(64, 'x');
    ByteBuffer stream;
    for (int i = 0; i < 64; ++i) wire::encode_publish(stream, wire::Version::v5, sample(payload));
    wire::FrameReader reader(1 << 20);
    ByteBuffer scratch;
    for (auto _ : state) {
        (void)reader.feed(stream, [&](const wire::Frame& frame) {
            auto packet = wire::decode_publish(wire::Version::v5, frame.flags, frame.body, scratch);
            benchmark::DoNotOptimize(packet);
            return true;
        });
    }
    state.SetItemsProcessed(state.iterations() * 64);
}
BENCHMARK(cut_and_decode_64_publishes);

void freeze_message(benchmark::State& state) {
    const std::string payload(static_cast<std::size_t>(state.range(0)), 'x');
    for (auto _ : state) {
        auto message = core::Message::freeze({.topic = topic,
                                              .properties = {},
                                              .payload = bytes_of(payload),
                                              .qos = wire::QoS::at_most_once,
                                              .client_id = "sensor-0001",
                                              .user_name = "farm"});
        benchmark::DoNotOptimize(message);
    }
}
BENCHMARK(freeze_message)->Arg(64)->Arg(1024);

/// One match among many filters, most of which share levels with the topic.
void match_topic(benchmark::State& state) {
    core::TopicTree tree;
    const auto count = static_cast<std::uint32_t>(state.range(0));
    for (std::uint32_t i = 0; i < count; ++i)
        tree.subscribe("farm/" + std::to_string(i % 100) + "/+/" + std::to_string(i) + "/#", i, {});
    tree.subscribe("farm/+/barn/#", count, {});
    std::size_t found = 0;
    for (auto _ : state)
        tree.match(topic, [&](core::SubscriberId, const core::SubscriptionOptions&) { ++found; });
    benchmark::DoNotOptimize(found);
}
BENCHMARK(match_topic)->Arg(10)->Arg(20'000)->Arg(1'000'000);

/// A turn's letters to another shard: posted together, taken together.
void mail_64_letters(benchmark::State& state) {
    shard::Mailbox box([] {});
    std::vector<shard::Envelope> out, in;
    for (auto _ : state) {
        for (int i = 0; i < 64; ++i) out.emplace_back(shard::mail::Ping{});
        box.post_all(out);
        in.clear();
        box.take(in);
        benchmark::DoNotOptimize(in.data());
    }
    state.SetItemsProcessed(state.iterations() * 64);
}
BENCHMARK(mail_64_letters);

}  // namespace
}  // namespace sluice
