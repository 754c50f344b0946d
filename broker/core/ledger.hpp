#pragma once
/// The ledger: plain values that say what must be remembered. Core and shard write them down, the store makes
/// them durable in the order given, one batch (a shard's turn) all or nothing.
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.hpp"
#include "core/exchange.hpp"
#include "core/message.hpp"
#include "core/share.hpp"
#include "core/subscription.hpp"

namespace sluice::core {

/// A persistent session's name on disk; never reused. Made by its shard: counter * 256 + shard.
using SessionKey = std::uint64_t;
/// A stored message: rises with arrival within a shard (counter * 256 + shard), so it is also the order of a
/// queue. Never reused.
using RowId = std::uint64_t;

/// One durable receiver of a stored message.
struct QueueTarget {
    SessionKey session = 0;
    wire::QoS qos = wire::QoS::at_least_once;  ///< of this delivery; 1 or 2
    bool retain = false;                       ///< the RETAIN flag of this delivery
    std::vector<std::uint32_t> subscription_identifiers;
    Share share;  ///< the shared subscription that this copy came by; empty: an ordinary one

    friend bool operator==(const QueueTarget&, const QueueTarget&) = default;
};

/// A message enters the queues of all its durable receivers on this shard at once; the body is kept once.
struct AppendMessage {
    RowId row = 0;
    MessagePtr message;
    std::vector<QueueTarget> targets;  ///< not empty
};

/// A receiver is done with a message (acknowledged, expired, dropped). After the last one the body may go.
struct SettleMessage {
    SessionKey session = 0;
    RowId row = 0;
};

/// Receivers on one shard have a QoS 2 message whose packet id is not recorded as received yet
/// (SaveProgress), because other shards still work on it; in the batch that appends it. Should the process
/// end before the record, the client repeats the message, and those named here are left out.
struct NoteArrival {
    SessionKey publisher = 0;  ///< the session that the message came from
    wire::PacketId packet_id = 0;
    std::uint32_t content = 0;  ///< a checksum of topic and payload: a client that lost its memory may use
                                ///< the id for another message
    RowId row = 0;  ///< one that was appended, or to no message: tells the notes of one message apart
    std::vector<SessionKey> sessions;  ///< receivers by ordinary subscriptions
    /// Of these one session each has the copy for all: shared subscriptions ("$share/GROUP/FILTER"), routes
    /// of bridges ("$bridge/NAME/ROUTE"). And "$retained": it has been retained.
    std::vector<Share> groups;
};
/// The packet id is recorded as received, or free for another message: what was noted for it is void.
struct ForgetArrivals {
    SessionKey publisher = 0;
    wire::PacketId packet_id = 0;
};

/// Where one outgoing QoS 1 or 2 delivery stands [MQTT5 4.3, 4.4].
struct InflightRecord {
    enum class State : std::uint8_t {
        published = 0,
        released = 1
    };              ///< released: PUBREC came, PUBREL is ours to repeat
    RowId row = 0;  ///< 0 once released: the message itself is settled
    wire::PacketId packet_id = 0;
    State state = State::published;

    friend bool operator==(const InflightRecord&, const InflightRecord&) = default;
};

/// The protocol state of a session both ways, whole: the last one of a batch wins. Bounded by the receive
/// maximums.
struct SaveProgress {
    SessionKey session = 0;
    /// In the order in which the PUBLISH, or once released the PUBREL, was first sent.
    std::vector<InflightRecord> outbound;
    std::vector<wire::PacketId>
        inbound_released;  ///< packet ids of QoS 2 messages received and not yet released by PUBREL
};

struct StoredWill {
    MessagePtr message;
    std::uint32_t delay_s = 0;
};

/// Identity and lifetime of a persistent session; written anew when it changes.
struct SessionRecord {
    SessionKey key = 0;
    /// Empty: the session has ended, and what it leaves of shared subscriptions is being given to others.
    std::string client_id;
    std::string user_name;
    std::uint32_t expiry_interval_s = 0;      ///< 0xFFFFFFFF: never
    std::optional<WallTime> disconnected_at;  ///< none while connected; expiry counts from here
    std::optional<StoredWill> will;           ///< to be published if the connection is gone after a restart
};

struct SaveSession {
    SessionRecord record;
};
/// The session and all that belongs to it: subscriptions, queue, progress, arrivals.
struct RemoveSession {
    SessionKey session = 0;
};
struct SaveSubscription {
    SessionKey session = 0;
    std::string filter;
    SubscriptionOptions options;
};
struct RemoveSubscription {
    SessionKey session = 0;
    std::string filter;
};
/// Numbers the changes of retained messages in the order in which memory took them (RetainedOrder). Entries
/// of several shards may come in another order; the highest number of a topic is what counts. 0: as it comes.
using RetainedSequence = std::uint64_t;
/// The retained message of its topic [MQTT-3.3.1-5].
struct SetRetained {
    MessagePtr message;
    RetainedSequence sequence = 0;
};
struct ClearRetained {
    std::string topic;
    RetainedSequence sequence = 0;
};
/// No change of a retained message up to this number is still to come.
struct RetainedUpTo {
    RetainedSequence sequence = 0;
};

using LedgerEntry =
    std::variant<AppendMessage, SettleMessage, SaveProgress, SaveSession, RemoveSession, SaveSubscription,
                 RemoveSubscription, SetRetained, ClearRetained, RetainedUpTo, NoteArrival, ForgetArrivals>;

/// A message read back for one session.
struct QueueEntry {
    RowId row = 0;
    MessagePtr message;
    wire::QoS qos = wire::QoS::at_least_once;
    bool retain = false;
    std::vector<std::uint32_t> subscription_identifiers;
    Share share;  ///< the shared subscription that this copy came by; empty: an ordinary one
    /// Of a QoS 2 copy for a member whose session is on no disk.
    ExchangePtr exchange{};
};

/// A message in the store, without its body.
struct StoredRow {
    RowId row = 0;
    std::size_t bytes = 0;  ///< of its body
};

}  // namespace sluice::core
