#pragma once
/// What a subscription asks for, as the tree keeps it and the store remembers it.
#include <cstdint>

#include "wire/packets.hpp"

namespace sluice::core {

struct SubscriptionOptions {
    wire::QoS qos = wire::QoS::at_most_once;
    bool no_local = false;
    bool retain_as_published = false;
    wire::RetainHandling retain_handling = wire::RetainHandling::send;
    std::uint32_t identifier = 0;  ///< 0: none [MQTT-3.8.2.1.2]
    /// For the lanes of a bridge: only what entered the broker on this shard, so that each message goes up
    /// once.
    bool local_only = false;
    /// For the lanes of a bridge: at least QoS 1 whatever the publisher chose, so that it waits in the spool.
    bool at_least_once = false;

    friend bool operator==(const SubscriptionOptions&, const SubscriptionOptions&) = default;
};

/// A session's number on its shard: an index, reused after the session is gone. Not kept on disk.
using SubscriberId = std::uint32_t;

}  // namespace sluice::core
