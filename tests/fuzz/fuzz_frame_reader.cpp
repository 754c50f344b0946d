/// However a stream is cut into chunks, and wherever the reader is stopped early: the same frames, then the
/// same error. Input: a byte of choices, four bytes that seed the chunks, then the stream.
#include <algorithm>

#include "base/check.hpp"
#include "wire/frame_reader.hpp"

using namespace sluice;

namespace {

struct Outcome {
    std::vector<ByteBuffer> frames;
    std::optional<wire::ReasonCode> error;
    ByteBuffer pending;
    bool operator==(const Outcome&) const = default;
};

void note(Outcome& outcome, const wire::Frame& frame) {
    outcome.frames.push_back({static_cast<std::uint8_t>(frame.type), frame.flags});
    append(outcome.frames.back(), frame.body);
}

/// Frame by frame, without a FrameReader.
Outcome cut_all(Bytes input, std::size_t packet_bytes_max, wire::Version version) {
    Outcome outcome;
    while (true) {
        const auto cut = wire::cut_frame(input, packet_bytes_max, version);
        if (!cut) {
            outcome.error = cut.error().code;
            return outcome;
        }
        if (!*cut) break;
        note(outcome, **cut);
        input = input.subspan((*cut)->size_bytes);
    }
    outcome.pending.assign(input.begin(), input.end());
    return outcome;
}

/// The next of a row of small numbers.
std::uint32_t next(std::uint32_t& seed) {
    seed = seed * 1664525 + 1013904223;
    return seed >> 16;
}

Outcome read_in_chunks(Bytes input, std::size_t packet_bytes_max, wire::Version version, std::uint32_t seed,
                       bool stops) {
    Outcome outcome;
    wire::FrameReader reader(packet_bytes_max);
    reader.set_version(version);
    bool stopped = false;
    while (!input.empty() || stopped) {
        const std::size_t size = stopped ? 0 : std::min<std::size_t>(input.size(), 1 + next(seed) % 9);
        stopped = false;
        const auto result = reader.feed(input.first(size), [&](const wire::Frame& frame) {
            note(outcome, frame);
            stopped = stops && next(seed) % 3 == 0;
            return !stopped;
        });
        if (!result) {
            outcome.error = result.error().code;
            return outcome;
        }
        input = input.subspan(size);
    }
    outcome.pending.assign(reader.pending().begin(), reader.pending().end());
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 5) return 0;
    const auto version = static_cast<wire::Version>(3 + data[0] % 3);
    const std::size_t packet_bytes_max = data[0] & 0x40 ? 16 : 1024;
    const Bytes input(data + 5, size - 5);
    const Outcome expected = cut_all(input, packet_bytes_max, version);
    CHECK(read_in_chunks(input, packet_bytes_max, version, read_u32(data + 1), data[0] & 0x80) == expected);
    return 0;
}
