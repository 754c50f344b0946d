#include "listener/connection_counts.hpp"

namespace sluice::listener {

class ConnectionCounts::Lease final : public net::SocketLease {
  public:
    Lease(RefPtr<ConnectionCounts> counts, const std::optional<net::IpAddress>& key)
        : counts_(std::move(counts)), key_(key) {}
    ~Lease() override { counts_->leave(key_); }

  private:
    const RefPtr<ConnectionCounts> counts_;
    const std::optional<net::IpAddress> key_;
};

std::unique_ptr<net::SocketLease> ConnectionCounts::enter(const std::optional<net::IpAddress>& from,
                                                          std::size_t per_address_max) {
    std::optional<net::IpAddress> key;
    if (from) {
        key = net::counted_as(*from);
        const std::lock_guard lock(mutex_);
        std::uint32_t& mine = by_address_[*key];
        if (per_address_max != 0 && mine >= per_address_max) return nullptr;
        ++mine;
    }
    total_.fetch_add(1, std::memory_order_relaxed);
    return std::make_unique<Lease>(RefPtr<ConnectionCounts>(this), key);
}

void ConnectionCounts::leave(const std::optional<net::IpAddress>& key) {
    total_.fetch_sub(1, std::memory_order_relaxed);
    if (!key) return;
    const std::lock_guard lock(mutex_);
    const auto it = by_address_.find(*key);
    if (it != by_address_.end() && --it->second == 0) by_address_.erase(it);
}

std::size_t ConnectionCounts::of(const net::IpAddress& address) const {
    const std::lock_guard lock(mutex_);
    const auto it = by_address_.find(net::counted_as(address));
    return it == by_address_.end() ? 0 : it->second;
}

}  // namespace sluice::listener
