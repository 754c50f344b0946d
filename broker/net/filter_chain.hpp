#pragma once
/// FilterChain: the PROXY header, then TLS, then WebSocket, as one. The first filter is the one nearest to
/// the wire.
#include <memory>
#include <vector>

#include "net/filter.hpp"

namespace sluice::net {

using Filters = std::vector<std::unique_ptr<Filter>>;

class FilterChain {
  public:
    FilterChain() = default;
    explicit FilterChain(Filters filters) : filters_(std::move(filters)) {}

    bool empty() const { return filters_.empty(); }
    bool ready() const;
    /// The first filter while it only introduces the far end; null when there is none, or none any more.
    Filter* introduction() const {
        return !filters_.empty() && filters_.front()->introduces() ? filters_.front().get() : nullptr;
    }
    void end_introduction() { filters_.erase(filters_.begin()); }
    /// As Filter: `plain` holds what is to be delivered also when an error comes back.
    Result<void, FilterError> receive(Bytes wire, ByteBuffer& plain, ByteBuffer& reply);
    Result<void, FilterError> send(Bytes plain, ByteBuffer& wire);
    void close(ByteBuffer& wire);
    void identify(PeerIdentity& identity) const;
    Filters release() { return std::move(filters_); }

  private:
    Result<void, FilterError> send_below(std::size_t level, Bytes bytes, ByteBuffer& wire);

    Filters filters_;
};

}  // namespace sluice::net
