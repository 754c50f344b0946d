#pragma once
/// What a shard knows of another one, and how connections end.
#include <cstdint>

#include "shard/interest.hpp"
#include "shard/mailbox.hpp"

namespace sluice::shard {

/// How a connection ended; decides about the will [MQTT-3.1.2-8, -10].
enum class Departure : std::uint8_t { clean, with_will, taken_over, shutdown };

/// What a shard knows of another one.
struct Peer {
    Mailbox* mailbox;
    const Interest* interest;
};

}  // namespace sluice::shard
