#pragma once
/// When a bridge is an alarm.
#include <optional>
#include <string>

#include "shard/stats.hpp"

namespace sluice::app {

/// One line; nothing when all is well, and when somebody wants it so (paused). An upstream that cannot be
/// reached is what the spool is for: it becomes an alarm when the spool is full. Dead letters are none: they
/// are counted and shown.
std::optional<std::string> bridge_alarm(const shard::BridgeStatus& bridge);

}  // namespace sluice::app
