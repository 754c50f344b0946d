#pragma once
/// Plan: what a seed makes of a run before it begins: who takes part, and how the broker is set up.
#include <vector>

#include "tests/sim/client.hpp"
#include "tests/sim/house.hpp"

namespace sluice::sim {

struct Plan {
    HousePlan house;
    std::vector<ClientPlan> clients;
    std::vector<std::string> live_topics;
    std::uint64_t steps = 0;
    std::uint64_t steps_per_crash = 0;  ///< on average
    bool faults = false;                ///< the disk refuses now and then
    bool power_cuts = false;
    bool drops = false;  ///< full queues may lose messages
};

Plan make_plan(Random& random, const std::string& data_dir, Mutation mutation);

}  // namespace sluice::sim
