#include "net/filter_chain.hpp"

#include <algorithm>
#include <optional>

#include "net/thread_buffers.hpp"

namespace sluice::net {

bool FilterChain::ready() const {
    return std::all_of(filters_.begin(), filters_.end(), [](const auto& f) { return f->ready(); });
}

// Passes bytes of the filter at `level` down through those below it.
Result<void, FilterError> FilterChain::send_below(std::size_t level, Bytes bytes, ByteBuffer& wire) {
    if (bytes.empty()) return {};
    if (level == 0) {
        append(wire, bytes);
        return {};
    }
    if (level == 1) return filters_[0]->send(bytes, wire);
    ByteBuffer& down = ThreadBuffers::mine().down;
    down.clear();
    if (auto sent = filters_[level - 1]->send(bytes, down); !sent) return sent;
    const ByteBuffer copy = down;  // three filters (PROXY header below TLS) are rare and short
    return send_below(level - 1, copy, wire);
}

Result<void, FilterError> FilterChain::receive(Bytes wire, ByteBuffer& plain, ByteBuffer& reply) {
    if (filters_.size() == 1) return filters_[0]->receive(wire, plain, reply);
    ThreadBuffers& shared = ThreadBuffers::mine();
    ByteBuffer in;  // only used from the third filter on
    Bytes bytes = wire;
    std::optional<FilterError> first_error;
    for (std::size_t level = 0; level < filters_.size(); ++level) {
        const bool last = level + 1 == filters_.size();
        if (level >= 2) {
            in.assign(bytes.begin(), bytes.end());
            bytes = in;
        }
        ByteBuffer& out = last ? plain : shared.up;
        if (!last) out.clear();
        shared.reply.clear();
        auto received = filters_[level]->receive(bytes, out, shared.reply);
        if (!received && !first_error) first_error = received.error();
        if (auto sent = send_below(level, shared.reply, reply); !sent && !first_error)
            first_error = sent.error();
        if (out.empty()) break;
        bytes = out;
    }
    if (first_error) return Err{std::move(*first_error)};
    return {};
}

Result<void, FilterError> FilterChain::send(Bytes plain, ByteBuffer& wire) {
    return send_below(filters_.size(), plain, wire);
}

void FilterChain::close(ByteBuffer& wire) {
    for (std::size_t level = filters_.size(); level-- > 0;) {
        ByteBuffer farewell;
        filters_[level]->close(farewell);
        if (level > 0 && !filters_[level - 1]->ready()) continue;
        // A farewell that cannot be said changes nothing: the connection ends anyway.
        (void)send_below(level, farewell, wire);
    }
}

void FilterChain::identify(PeerIdentity& identity) const {
    for (const auto& filter : filters_) filter->identify(identity);
}

}  // namespace sluice::net
