// The WebSocket filter: a first byte that says how the rest is cut into reads, then the client's bytes. The
// same bytes in one piece must mean the same.
#include "net/websocket.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace {

struct Outcome {
    sluice::ByteBuffer plain, reply;
    bool failed = false;
};

Outcome run(sluice::Bytes wire, std::size_t chunk) {
    Outcome out;
    const auto filter = sluice::net::make_websocket_filter();
    while (!wire.empty() && !out.failed) {
        const auto part = wire.first(std::min(chunk, wire.size()));
        out.failed = !filter->receive(part, out.plain, out.reply).ok();
        wire = wire.subspan(part.size());
    }
    sluice::ByteBuffer farewell;
    filter->close(farewell);
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const sluice::Bytes wire(data + 1, size - 1);
    const Outcome pieces = run(wire, std::size_t{data[0]} + 1);
    const Outcome whole = run(wire, SIZE_MAX);
    CHECK(pieces.plain == whole.plain && pieces.reply == whole.reply && pieces.failed == whole.failed);
    CHECK(whole.plain.size() <= size);
    return 0;
}
