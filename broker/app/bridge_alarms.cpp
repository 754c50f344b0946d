#include "app/bridge_alarms.hpp"

#include <fmt/format.h>

namespace sluice::app {

std::optional<std::string> bridge_alarm(const shard::BridgeStatus& bridge) {
    using shard::BridgeState;
    const std::string why = bridge.reason.empty() ? "" : ": " + bridge.reason;
    switch (bridge.state) {
        case BridgeState::stalled:
            return fmt::format("bridge '{}': connected, but nothing is confirmed while {} messages wait{}",
                               bridge.name, bridge.spool_messages, why);
        case BridgeState::blocked:
            return fmt::format("bridge '{}': the upstream makes it wait, with {} messages{}", bridge.name,
                               bridge.spool_messages, why);
        case BridgeState::full:
            return fmt::format("bridge '{}': the spool is full, with {} messages{}", bridge.name,
                               bridge.spool_messages, why);
        case BridgeState::connecting:
        case BridgeState::connected:
        case BridgeState::progressing:
        case BridgeState::paused:
        case BridgeState::stopped:
            break;
    }
    return {};
}

}  // namespace sluice::app
