#pragma once
/// What a reload applies, and what it cannot: by the rows of the settings, so that the reference manual says
/// the same.
#include <string>
#include <vector>

#include "app/config.hpp"

namespace sluice::app {

/// Settings in which `fresh` differs from `running` and that a reload does not apply, in the operator's words
/// ("broker.threads", "listener 0.0.0.0:8883: anonymous"); never a value, which may be a secret. Listeners
/// are recognised by where they listen. Bridges are all applied.
std::vector<std::string> settings_for_restart(const Config& running, const Config& fresh);

/// In what two bridges of one name differ ("servers", "spool.full", "route 2: topic"); likewise never a
/// value. Routes are compared in their order.
std::vector<std::string> changed_bridge_settings(const bridge::BridgeSettings& a,
                                                 const bridge::BridgeSettings& b,
                                                 const ModuleSource& modules);

/// Takes what a reload applies to listeners, which is read when their certificates are loaded again: the
/// files of TLS.
void take_listener_settings(std::vector<listener::ListenerSettings>& running,
                            const std::vector<listener::ListenerSettings>& fresh);

}  // namespace sluice::app
