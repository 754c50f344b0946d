#pragma once
/// Slot: a session with all that the shard knows about it beyond the specification's session state.
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/session.hpp"
#include "shard/inlet.hpp"
#include "shard/passage.hpp"
#include "shard/ticket_table.hpp"

namespace sluice::shard {

/// What only the slot of a lane has.
struct LaneSlot {
    LinkNumber number = 0;
    std::function<bool(const core::Message&)> accepts;
    bool ack_upstream = false;
    struct Waiting {
        TicketId ticket = 0;
        MonoTime since{};
    };
    using Waits = std::unordered_map<core::RowId, Waiting>;
    /// ack_upstream: publishers that wait for the end of a row.
    Waits waiting;
};

/// Retained messages for new subscriptions that have not left yet, because the client is to read others
/// first.
struct RetainedRun {
    struct Item {
        core::MessagePtr topic_of;  ///< keeps the key in by_topic
        core::MessagePtr message;   ///< none: it has left out of turn, or is not wanted any more
        std::uint32_t wanted = 0;
    };
    std::vector<LinkSpec::Wanted> wanted;
    std::deque<Item> items;
    std::uint64_t first = 0;  ///< place of items.front()
    /// Where a topic's are: they go before anything newer of that topic does.
    std::unordered_multimap<std::string_view, std::uint64_t> by_topic;
    bool posted = false;  ///< the next portion comes by itself
};

/// QoS 2 messages of a client for which something has been done, while their packet ids are not recorded.
struct HalfReceived {
    /// Their connection went while other shards worked on them. The answer is the session's: it records the
    /// id, also when nobody is there.
    struct Open {
        TicketId ticket = 0;  ///< 0: they have been refused
        std::uint64_t cookie = 0;
        wire::ReasonCode code = wire::ReasonCode::success;
    };
    std::unordered_map<wire::PacketId, Open> open;
    /// From before a restart: who has them already.
    std::unordered_map<wire::PacketId, OriginPtr> arrived;
};

struct Slot {
    std::unique_ptr<core::Session> session;  ///< none: the slot is free
    std::unique_ptr<Link> link;              ///< none: nobody is connected
    std::uint32_t generation = 0;  ///< rises when the slot is given to another session, and with each link
    std::string client_id;
    std::string user_name;
    std::uint32_t expiry_interval_s = 0;
    std::optional<AdmittedWill> will;
    std::optional<WallTime> disconnected_at;
    std::map<std::string, core::SubscriptionOptions, std::less<>> subscriptions;
    std::unique_ptr<LaneSlot> lane;
    std::unique_ptr<RetainedRun> retained;        ///< none: they all have left
    std::unique_ptr<HalfReceived> half_received;  ///< none: all has been recorded, or refused
    std::uint32_t shares = 0;                     ///< shared subscriptions among them
    core::RowId last_row = 0;                     ///< the newest one that it was a receiver of
    std::uint32_t gated = 0;                      ///< runs of sends to this link that wait for a commit
    bool progress_dirty = false;
    bool link_dirty = false;
};

constexpr std::uint32_t never_expires = 0xFFFFFFFF;

/// Sessions of bridges stand under this name; no client may take one.
constexpr std::string_view bridge_session_prefix = "$bridge/";

}  // namespace sluice::shard
