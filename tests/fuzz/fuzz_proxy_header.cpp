// The PROXY header: a first byte that says how the rest is cut into reads, then the proxy's bytes. The same
// bytes in one piece must mean the same, and what stands behind the header must come through untouched.
#include "net/proxy_header.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace {

struct Outcome {
    sluice::ByteBuffer plain;
    std::string failed;
    bool ready = false;
    sluice::net::PeerIdentity identity;
};

Outcome run(sluice::Bytes wire, std::size_t chunk) {
    Outcome out;
    const auto filter = sluice::net::make_proxy_header_filter();
    sluice::ByteBuffer reply;
    while (!wire.empty() && out.failed.empty()) {
        const auto part = wire.first(std::min(chunk, wire.size()));
        if (const auto received = filter->receive(part, out.plain, reply); !received)
            out.failed = received.error().what;
        wire = wire.subspan(part.size());
    }
    CHECK(reply.empty());
    out.ready = out.failed.empty() && filter->ready();
    if (out.ready) filter->identify(out.identity);
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const sluice::Bytes wire(data + 1, size - 1);
    const Outcome pieces = run(wire, std::size_t{data[0]} + 1);
    const Outcome whole = run(wire, SIZE_MAX);
    CHECK(pieces.plain == whole.plain && pieces.failed == whole.failed && pieces.ready == whole.ready);
    CHECK(pieces.identity.address == whole.identity.address && pieces.identity.ip == whole.identity.ip);
    CHECK(whole.ready || whole.plain.empty());
    CHECK(std::equal(whole.plain.rbegin(), whole.plain.rend(), wire.rbegin()));
    // It stands in log lines.
    for (const char c : whole.identity.address) CHECK(c > 0x20 && c < 0x7f);
    return 0;
}
