#pragma once
/// What a client is refused without being disconnected: why, for its answer, the counters and the log.
#include <cstddef>
#include <cstdint>

#include "wire/reason_code.hpp"

namespace sluice::shard {

enum class Refusal : std::uint8_t {
    not_authorized,
    sys_topic,       ///< only the broker publishes below $SYS/
    topic_bytes,     ///< limits.topic_bytes_max
    topic_levels,    ///< limits.topic_levels_max
    subscriptions,   ///< limits.subscriptions_max
    payload_format,  ///< not the UTF-8 that its Payload Format Indicator says
    memory,          ///< limits.memory_max
};
constexpr std::size_t refusal_count = 7;

struct Refused {
    Refusal reason{};
    wire::ReasonCode code{};
    const char* text = "";  ///< a literal: the Reason String
};

}  // namespace sluice::shard
