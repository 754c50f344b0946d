#pragma once
/// Lobby: what all doors and greetings share: who is here, who has not been let in yet, who was turned away.
#include "listener/connection_counts.hpp"
#include "listener/door_stats.hpp"
#include "listener/guess_damper.hpp"
#include "listener/newcomers.hpp"

namespace sluice::listener {

struct Lobby {
    DoorStats stats;
    const RefPtr<ConnectionCounts> counts{new ConnectionCounts};
    Newcomers newcomers;
    GuessDamper guesses;
    /// Sockets that there may be; the rest of the process's file descriptors is for the store, the bridges,
    /// the files of a reload.
    std::size_t sockets_max = SIZE_MAX;
};

/// From the limit of the process as it is now.
std::size_t sockets_that_fit();

}  // namespace sluice::listener
