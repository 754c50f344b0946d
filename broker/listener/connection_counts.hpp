#pragma once
/// ConnectionCounts: all sockets of clients, from accept to the close, in all and by address.
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/ref_ptr.hpp"
#include "net/channel.hpp"

namespace sluice::listener {

/// Any thread. Lives as long as any of its leases: connections outlast the listeners.
class ConnectionCounts final : public RefCounted<ConnectionCounts> {
  public:
    /// Counts one more until the lease goes. Null when `from` (counted as net::counted_as says) has
    /// `per_address_max` already; 0: no limit. Without an address it counts in all only.
    std::unique_ptr<net::SocketLease> enter(const std::optional<net::IpAddress>& from,
                                            std::size_t per_address_max);
    std::size_t total() const { return total_.load(std::memory_order_relaxed); }
    std::size_t of(const net::IpAddress& address) const;

  private:
    class Lease;
    /// An entry of by_address_: stays where it is while it counts anybody.
    using OfAddress = std::pair<const net::IpAddress, std::uint32_t>;
    void leave(OfAddress* mine);

    std::atomic<std::size_t> total_{0};
    mutable std::mutex mutex_;
    /// A tree: what addresses there are is for strangers to choose, so a hash would have to be keyed.
    std::map<net::IpAddress, std::uint32_t> by_address_;
};

}  // namespace sluice::listener
