#pragma once
/// SharedParts: what the shards of a process have in common.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "auth/auth.hpp"
#include "base/clock.hpp"
#include "core/retained_index.hpp"
#include "core/session.hpp"
#include "shard/limits.hpp"
#include "store/store.hpp"

namespace sluice::shard {

/// What all shards share. Everything outlives the shards.
struct SharedParts {
    store::Store* store = nullptr;
    core::RetainedIndex* retained = nullptr;
    std::shared_ptr<const auth::Authorizer> authorizer;
    Limits limits;
    std::shared_ptr<auth::Authenticator> authenticator;  ///< for clients that authenticate again; may be null
    /// Clients' connections of all shards, for limits.connections_max.
    std::shared_ptr<std::atomic<std::uint32_t>> connections = std::make_shared<std::atomic<std::uint32_t>>(0);
    /// How often expired retained messages are looked for; the first shard does it.
    Millis retained_sweep{60'000};
    /// What persistent queues of clients keep in memory (core::QueueBounds).
    std::size_t window_messages = core::QueueBounds{}.window_messages;
};

}  // namespace sluice::shard
