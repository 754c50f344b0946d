#pragma once
/// Errands: what a shard's own tickets are about.
#include <variant>
#include <vector>

#include "shard/envelope.hpp"

namespace sluice::shard {

/// A row of an ended session that goes to another shard.
struct HandedRow {
    core::SessionKey session = 0;
    core::RowId row = 0;
};
/// A QoS 2 message whose connection went before all shards had answered.
struct OpenPublish {
    core::SessionKey publisher = 0;
    wire::PacketId packet_id = 0;
};
/// A will that the store keeps until all shards have it, as that of this session.
struct KeptWill {
    core::SessionKey keeper = 0;
};
/// A message that came from an upstream.
struct BroughtRow {
    std::shared_ptr<BroughtSink> sink;
    std::uint64_t token = 0;
};
/// Besides these, mail of another shard that was passed on.
using Errand = std::variant<TicketRef, HandedRow, OpenPublish, KeptWill, BroughtRow>;

/// LinkHost::read_queue(): what the store is to be asked, and what it has been asked, in its order.
struct LinkReads {
    std::vector<std::pair<LinkNumber, core::RowId>> wanted;
    std::vector<std::pair<core::SessionKey, LinkNumber>> under_way;
};

/// A session that has ended, while others get what it leaves of its shared subscriptions.
struct Leaving {
    core::RowId after = 0;               ///< what is up to here has been given away
    std::vector<core::RowId> in_flight;  ///< of what is behind, sorted
    std::uint32_t foreign_loads = 0;     ///< answers to come that the session itself had asked for
    std::uint32_t waits = 0;             ///< messages that other shards have not answered yet
    bool exhausted = true;               ///< nothing is behind any more
};

/// All that is to be handed on.
struct Handovers {
    std::unordered_map<core::SessionKey, Leaving> leaving;
    std::vector<core::SessionKey> loads;  ///< whose next window is to be asked for
    /// Left by sessions on no disk, until their publishers' exchanges are recorded.
    std::vector<core::QueueEntry> early;
};

}  // namespace sluice::shard
