#pragma once
/// Exchange: whether the publisher of a QoS 2 message may still repeat it as one that the broker has not
/// seen.
#include <atomic>

#include "base/ref_ptr.hpp"

namespace sluice::core {

/// The publisher's shard sets it, any thread reads it.
class Exchange final : public RefCounted<Exchange> {
  public:
    /// That the packet id is received, or that the exchange has ended, has been given to the store: it is
    /// durable before whatever is given to the store after this is seen.
    bool recorded() const { return recorded_.load(std::memory_order_acquire); }
    void set_recorded() { recorded_.store(true, std::memory_order_release); }

  private:
    std::atomic<bool> recorded_{false};
};
/// None: nobody would repeat it, or its record is in the same batch.
using ExchangePtr = RefPtr<Exchange>;

}  // namespace sluice::core
