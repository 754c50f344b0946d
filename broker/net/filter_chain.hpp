#pragma once
/// FilterChain: TLS, then WebSocket, as one. The first filter is the one nearest to the wire.
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
