#include "listener/connection_counts.hpp"

namespace sluice::listener {

class ConnectionCounts::Lease final : public net::SocketLease {
  public:
    Lease(RefPtr<ConnectionCounts> counts, OfAddress* mine) : counts_(std::move(counts)), mine_(mine) {}
    ~Lease() override { counts_->leave(mine_); }

  private:
    const RefPtr<ConnectionCounts> counts_;
    OfAddress* const mine_;  ///< null: without an address
};

std::unique_ptr<net::SocketLease> ConnectionCounts::enter(const std::optional<net::IpAddress>& from,
                                                          std::size_t per_address_max) {
    OfAddress* mine = nullptr;
    if (from) {
        const std::lock_guard lock(mutex_);
        mine = &*by_address_.try_emplace(net::counted_as(*from)).first;
        if (per_address_max != 0 && mine->second >= per_address_max) return nullptr;
        ++mine->second;
    }
    total_.fetch_add(1, std::memory_order_relaxed);
    return std::make_unique<Lease>(RefPtr<ConnectionCounts>(this), mine);
}

void ConnectionCounts::leave(OfAddress* mine) {
    total_.fetch_sub(1, std::memory_order_relaxed);
    if (!mine) return;
    const std::lock_guard lock(mutex_);
    if (--mine->second == 0) by_address_.erase(by_address_.find(mine->first));
}

std::size_t ConnectionCounts::of(const net::IpAddress& address) const {
    const std::lock_guard lock(mutex_);
    const auto it = by_address_.find(net::counted_as(address));
    return it == by_address_.end() ? 0 : it->second;
}

}  // namespace sluice::listener
