#pragma once
/// `sluicectl bridge` and `sluicectl dead`: what operators see of bridges, and do to them.
#include <cstdint>
#include <string>
#include <vector>

#include "app/ctl_broker.hpp"

namespace sluice::app {

/// What the command line says; each command looks at what it needs.
struct BridgeOptions {
    std::string name;
    std::string route;
    bool all = false;                ///< in place of `route` or `ids`
    std::vector<std::uint64_t> ids;  ///< of dead letters
    std::uint64_t id = 0;
    std::uint64_t after = 0;
    unsigned count = 100;
    bool raw = false;

    static constexpr unsigned count_max = 1000;  ///< as the broker has it
    static constexpr int ids_max = 4096;         ///< likewise
};

Answered<int> list_bridges(const Command& command);
Answered<int> show_bridge(const Command& command, const BridgeOptions& options);
Answered<int> pause_bridge(const Command& command, const BridgeOptions& options);
Answered<int> resume_bridge(const Command& command, const BridgeOptions& options);
Answered<int> list_leftovers(const Command& command);
Answered<int> forget_leftover(const Command& command, const BridgeOptions& options);

Answered<int> list_dead(const Command& command, const BridgeOptions& options);
Answered<int> show_dead(const Command& command, const BridgeOptions& options);
/// Of retry and drop: exit_not_done when some of the ids were not there any more.
Answered<int> retry_dead(const Command& command, const BridgeOptions& options);
Answered<int> drop_dead(const Command& command, const BridgeOptions& options);

/// At most 120 columns for names of ordinary length: the reason is cut.
std::string bridges_table(const nlohmann::json& bridges);
/// "full in 3 h", "empty in 40 s"; empty when neither is in sight. Negative: never.
std::string describe_forecast(double full_in_s, double empty_in_s);
/// `/api/v1/bridges/NAME` and what follows it.
std::string bridge_path(const BridgeOptions& options, const std::string& rest = "");

}  // namespace sluice::app
