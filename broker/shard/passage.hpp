#pragma once
/// Passage: a message on its way through one shard; Origin: what travels with a QoS 2 message so that it
/// comes exactly once although it is made durable by several shards, each in a commit of its own.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/ref_ptr.hpp"
#include "core/ledger.hpp"
#include "shard/ticket_table.hpp"

namespace sluice::shard {

/// Of a QoS 2 message from a persistent session, of a will, and of what an ended session leaves. Made once,
/// then immutable: all shards look at the same one.
struct Origin final : RefCounted<Origin> {
    core::SessionKey publisher = 0;
    wire::PacketId packet_id = 0;
    bool acknowledged = false;   ///< its publisher has been told that it was accepted
    core::RowId handed_row = 0;  ///< not 0: where it waited in the queue of `publisher`, which has ended
    std::uint32_t content = 0;   ///< as in core::NoteArrival
    core::ExchangePtr exchange;  ///< none: nobody waits for its end
    /// Of a repetition after a restart: who has it already, as in core::NoteArrival; sessions sorted.
    std::vector<core::SessionKey> sessions;
    std::vector<core::Share> groups;

    bool reached(core::SessionKey session) const {
        return std::binary_search(sessions.begin(), sessions.end(), session);
    }
    bool reached(std::string_view group) const {
        return std::any_of(groups.begin(), groups.end(),
                           [&](const core::Share& one) { return one.view() == group; });
    }
};
/// None: other messages of QoS 0 and 1, and publishers that a restart forgets.
using OriginPtr = RefPtr<const Origin>;
OriginPtr make_origin(core::SessionKey publisher, wire::PacketId packet_id, const core::Message& message);
/// By packet id, from what the store has noted.
std::unordered_map<wire::PacketId, OriginPtr> origins_of(const std::vector<core::NoteArrival>& arrivals);

struct Passage {
    const core::MessagePtr& message;
    TicketId local_ticket = 0;  ///< of a publisher on this shard
    bool entered_here = false;
    const Origin* origin = nullptr;                      ///< none: nobody will ask who has it
    bool acknowledged = origin && origin->acknowledged;  ///< it is too late to refuse it
    wire::ReasonCode worst = wire::ReasonCode::success;
    bool matched = false;
    std::ptrdiff_t append_index = -1;  ///< in the batch: its row, while receivers may be added to it
    std::unique_ptr<core::NoteArrival> note = nullptr;  ///< who has got it here, once somebody has
};

}  // namespace sluice::shard
