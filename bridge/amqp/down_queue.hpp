#pragma once
/// DownQueue: a row of `[[bridge.down]]`, checked.
#include <cstdint>
#include <string>
#include <vector>

#include "bridge/amqp/settings.hpp"
#include "bridge/connector.hpp"

namespace sluice::bridge::amqp {

struct DownQueue {
    std::string name;
    bool declare = false;  ///< made, durable, when it is not there
    QueueType type = QueueType::by_server;
    std::string dead_letter_exchange;  ///< of a queue that we make; empty: none
    std::string exchange;
    std::vector<std::string> binding_keys;
    std::uint16_t prefetch = 1;  ///< 1 to 65535
    std::uint64_t message_bytes_max = 0;
};

/// One for each row; together they prefetch no more than spec.down_inflight_max. The error names place, key,
/// problem and expectation.
Result<std::vector<DownQueue>, std::string> make_down_queues(const ConnectorSpec& spec);

}  // namespace sluice::bridge::amqp
