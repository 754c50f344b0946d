#pragma once
/// Session: the session state of the specification and nothing else [MQTT5 4.1]: what is on its way to a
/// client, what waits, and which QoS 2 messages came from it. Pure: events in, effects out.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/ref_ptr.hpp"
#include "base/result.hpp"
#include "base/ring.hpp"
#include "core/effects.hpp"
#include "core/packet_id_set.hpp"

namespace sluice::core {

/// What a full queue does to the next message.
enum class WhenFull : std::uint8_t { drop_oldest, drop_newest, reject };

/// How much memory there is for what has to wait.
enum class MemoryRoom : std::uint8_t {
    plenty,
    tight,  ///< a persistent queue keeps nothing in memory that the store has
    none,   ///< and a volatile one does not grow: what is new takes the place of what is old
};

struct QueueBounds {
    std::size_t messages_max = 100000;
    std::size_t bytes_max = 256U << 20;
    Millis age_max{0};  ///< older ones are dropped when their turn comes; 0: however old
    WhenFull when_full = WhenFull::drop_oldest;
    /// Of a persistent session: what is kept in memory; the rest waits in the store.
    std::size_t window_messages = 1000;
    std::size_t window_bytes = 1U << 20;
};

/// One for all sessions that have the same: each has a pointer.
class SharedBounds final : public RefCounted<SharedBounds> {
  public:
    explicit SharedBounds(const QueueBounds& given) : values(given) {}
    const QueueBounds values;
};
using BoundsPtr = RefPtr<const SharedBounds>;
inline BoundsPtr share_bounds(const QueueBounds& bounds) {
    return BoundsPtr(new SharedBounds(bounds));
}

/// The memory that a waiting message stands for.
inline std::size_t bytes_of(const QueueEntry& entry) {
    return entry.message ? entry.message->body().size() : 0;
}

class Session {
  public:
    /// `key` 0: the session ends with its connection and nothing of it is remembered.
    Session(BoundsPtr bounds, SessionKey key) : key_(key), bounds_(std::move(bounds)) {}
    /// With bounds of its own.
    Session(SessionKey key, const QueueBounds& bounds) : Session(share_bounds(bounds), key) {}

    SessionKey key() const { return key_; }
    bool durable() const { return key_ != 0; }
    bool attached() const { return attached_; }

    /// Whether the far end is told by DUP and packet id what it may have had before.
    enum class Repeats : std::uint8_t { told, not_told };
    /// A far end is there. Repeats what was in flight, PUBLISH with DUP and PUBREL, in the order in which
    /// these were first sent [MQTT-4.4.0-1], then sends what waits. `send_quota_max`: its Receive Maximum, 1
    /// to 65535 [MQTT-3.3.4-9].
    void attach(std::uint16_t send_quota_max, Now now, Effects& effects, Repeats repeats = Repeats::told);
    /// The far end is gone; what is in flight stays in flight. Whether progress() has changed by it.
    bool detach();
    /// From the store after a restart: what was in flight, and how much waits there; `queue_shared`: some of
    /// it came by shared subscriptions; `inflight_bytes`: of those bytes, what was in flight.
    void restore(const SaveProgress& progress, std::uint64_t queue_messages, std::uint64_t queue_bytes,
                 bool queue_shared, std::uint64_t inflight_bytes = 0);
    /// Makes a volatile session persistent, or the reverse; only while nothing is queued or in flight for the
    /// old kind.
    void set_key(SessionKey key) { key_ = key; }

    enum class Offered : std::uint8_t {
        sent,      ///< on its way, or queued
        dropped,   ///< counted in effects.drops; its row was never needed
        rejected,  ///< queue full and the policy is reject: the publisher is told
    };
    enum class Refusal : bool { none, allowed };
    /// A message for this session; `entry.row` is its row when durable() and QoS > 0, else 0. `entry.qos` is
    /// the lower of published and subscribed. `refusal` none: its publisher has been told that it was
    /// accepted, so it is taken above the limit rather than rejected.
    Offered offer(QueueEntry entry, Effects& effects, MemoryRoom room = MemoryRoom::plenty,
                  Refusal refusal = Refusal::allowed);
    /// Memory is short: what waits for a persistent session is left to the store alone. Of a detached one
    /// also what is in flight; it is read back when the client comes back.
    void spill();
    /// The memory that its messages take, as if nobody else had them too.
    std::size_t bytes_in_memory() const { return queue_bytes_ + inflight_bytes_; }
    std::size_t inflight_bytes() const { return inflight_bytes_; }
    /// Memory is used up: a volatile session that has fallen behind loses the older half of what waits.
    void shed(Effects& effects);
    /// Asked before a row is given out: whether `offer` would keep a message of this size.
    bool would_reject(std::size_t body_bytes) const;

    /// The receiver's answers. An unknown packet id is an error value; the caller decides what the protocol
    /// wants then.
    Result<void, wire::ReasonCode> on_puback(wire::PacketId id, Now now, Effects& effects);
    Result<void, wire::ReasonCode> on_pubrec(wire::PacketId id, wire::ReasonCode code, Now now,
                                             Effects& effects);
    Result<void, wire::ReasonCode> on_pubcomp(wire::PacketId id, Now now, Effects& effects);
    /// A message that cannot be sent to this receiver (larger than its Maximum Packet Size) counts as done
    /// [MQTT-3.1.2-24, -25].
    void on_unsendable(wire::PacketId id, Now now, Effects& effects);

    /// A QoS 2 PUBLISH came in: true when its packet id is new, false for a repetition of one not yet
    /// released [MQTT-4.3.3-10].
    bool on_publish_qos2(wire::PacketId id);
    /// PUBREL came in: whether the id was known.
    bool on_pubrel(wire::PacketId id);
    /// The publish was refused (PUBREC with an error): the id is free again [MQTT-4.3.3-9].
    void forget_inbound(wire::PacketId id) { (void)on_pubrel(id); }
    bool has_inbound(wire::PacketId id) const { return inbound_.contains(id); }
    /// The ids of all not yet released.
    const PacketIdSet& inbound() const { return inbound_; }

    /// A window came back from the store. `exhausted` as in StoreEvents.
    void on_loaded(std::vector<QueueEntry> entries, bool exhausted, Now now, Effects& effects);
    /// The row behind which the next window begins.
    RowId load_after() const { return newest_row_in_memory_; }
    /// load_wanted was executed; on_loaded will follow.
    void load_posted();
    bool loading() const { return loading_; }

    /// Which messages a full queue is to lose first, where all of it is in the store: in order, rows behind
    /// oldest_after(). `exhausted` as in StoreEvents.
    void on_oldest_found(std::vector<StoredRow> rows, bool exhausted, Effects& effects);
    RowId oldest_after() const;
    /// Of a session that has been detached since this message was offered with MemoryRoom::tight: takes it
    /// out of the queue, wherever it stands there. `bytes`: of its body.
    void forget_behind(RowId row, std::size_t bytes, Effects& effects);
    /// While the store looks for them it may find some that were forgotten meanwhile: not for
    /// on_oldest_found().
    bool oldest_asked() const { return oldest_asked_; }
    /// oldest_wanted was executed; on_oldest_found will follow.
    void oldest_posted();

    /// What a session that ends has of shared subscriptions, for other members to get [MQTT5 4.8.2].
    struct Leftovers {
        std::vector<QueueEntry> to_others;  ///< what is in memory, in its order
        /// More may be in the store, in rows behind load_after(); of those, what was in flight:
        bool behind = false;
        std::vector<RowId> in_flight_behind;
    };
    /// What was sent with QoS 2 stays out of it: nobody else may get that [MQTT-4.8.2-5]. The session is of
    /// no use afterwards.
    Leftovers give_up();
    /// Whether a QoS 1 or 2 message would be sent at once.
    bool has_send_quota() const {
        return attached_ && !resend_after_load_ && queued_messages() == 0 && inflight_live_ < send_quota_max_;
    }
    /// Whether its queue takes no more without dropping something.
    bool full() const { return full_for(1); }

    /// For the ledger.
    SaveProgress progress() const;
    /// Messages wait until progress(), as it is now, is durable: the mark for on_recorded(). 0: none do.
    std::uint64_t record_mark() const { return unrecorded_ > 0 ? last_sequence_ : 0; }
    /// That progress() is durable; for the far end only that was there when it was asked for.
    void on_recorded(std::uint64_t mark, Now now, Effects& effects);

    std::size_t inflight_count() const { return inflight_live_; }
    std::size_t queued_messages() const { return queue_.size() + behind_messages_; }
    /// Waiting or in flight: what a spool's depth means.
    std::size_t backlog_messages() const { return queued_messages() + inflight_live_ - inflight_unloaded_; }
    std::size_t backlog_bytes() const { return queue_bytes_ + behind_bytes_ + inflight_bytes_; }
    /// When the oldest message in memory came; false when there is none.
    bool oldest_received(WallTime& received) const;
    const QueueBounds& bounds() const { return bounds_->values; }
    void set_bounds(BoundsPtr bounds) { bounds_ = std::move(bounds); }

  private:
    enum class State : std::uint8_t { published, released, done };
    struct Inflight {
        QueueEntry entry;  ///< message is none once released, and while it is in the store only
        std::uint64_t sequence =
            0;  ///< rises by one per packet id used or skipped: the id is sequence % 65535 + 1
        /// Where its last packet (PUBLISH, or PUBREL once released) stands among all that were sent first:
        /// they are repeated in that order.
        std::uint64_t sent = 0;
        State state = State::published;
        bool held = false;  ///< not yet repeated: the far end's quota is used up, or it is in the store

        wire::PacketId packet_id() const { return packet_id_of(sequence); }
    };
    static wire::PacketId packet_id_of(std::uint64_t sequence) {
        return static_cast<wire::PacketId>(sequence % 65535 + 1);
    }

    void send_waiting(Now now, Effects& effects);
    /// What the store may know of the PUBLISH when it leaves.
    enum class Known : std::uint8_t { not_yet, recorded, repeated };
    void start_sending(QueueEntry entry, std::uint64_t sequence, Known known, Effects& effects);
    void send_publish(Inflight& inflight, Known known, Effects& effects);
    bool announces() const {
        return durable() && attached_ && repeats_ == Repeats::told && !resend_after_load_;
    }
    void announce(Effects& effects);
    /// The far end would take what is first in queue_, but the record of that is not durable yet.
    bool waits_for_record() const {
        return announces() && !queue_.empty() && inflight_live_ < send_quota_max_;
    }
    void offer_waiting(QueueEntry entry, MemoryRoom room, Effects& effects);
    /// Of queue_.front(), when it is announced.
    std::uint64_t next_announced() const { return last_sequence_ - announced_ + 1; }
    std::uint16_t announced_at_most(std::size_t wanted) const;
    std::uint16_t announced_at_first() const;
    QueueEntry take_first();
    void repeat_inflight(Effects& effects);
    bool has_quota_for_held() const { return inflight_live_ - held_ < send_quota_max_; }
    /// Until the last answer. Else those held wait for the store, and there is nothing to be looked for.
    bool quota_was_used_up() const { return inflight_live_ - held_ + 1 == send_quota_max_; }
    void give_up_unloaded();
    std::vector<std::size_t> inflight_as_sent() const;
    void unhold(Inflight& inflight) {
        if (std::exchange(inflight.held, false) && inflight.state == State::published) --held_;
    }
    bool drop_if_stale(const QueueEntry& entry, Now now, Effects& effects);
    bool make_room(std::size_t body_bytes, MemoryRoom room, Effects& effects);
    bool make_room_in_store(std::size_t body_bytes, Effects& effects);
    bool may_exceed(std::size_t body_bytes) const;
    void drop_first(DropReason reason, Effects& effects);
    void drop_first_in_store(Effects& effects);
    bool take_out(RowId row);
    void trim(Effects& effects);
    void ask_for_oldest(Effects& effects) const;
    /// Without what is in flight and was not loaded after a restart.
    std::size_t waiting_messages() const {
        return queued_messages() - std::min<std::size_t>(behind_messages_, inflight_unloaded_);
    }
    std::size_t waiting_bytes() const {
        return queue_bytes_ + behind_bytes_ - std::min(behind_bytes_, inflight_unloaded_bytes_);
    }
    void enqueue(QueueEntry entry, bool to_store_only);
    void spill_queue();
    void spill_inflight();
    void settle(RowId row, Effects& effects);
    void finish(Inflight& inflight, Now now, Effects& effects);
    Inflight* find_inflight(wire::PacketId id);
    /// Of inflight_, which is not empty.
    Inflight* at_sequence(std::uint64_t sequence);
    std::uint64_t next_sequence() const;
    void take_from_store(const Inflight& inflight);
    void remove_done();
    bool all_inflight_loaded() const;
    bool full_for(std::size_t body_bytes) const;
    void want_load_if_low(Effects& effects) const;

    SessionKey key_;
    BoundsPtr bounds_;
    bool attached_ = false;
    Repeats repeats_ = Repeats::told;
    bool starved_ = false;  ///< the far end took all that was announced before the record of more came
    bool loading_ = false;
    bool resend_after_load_ = false;  ///< attached, and some messages in flight are still in the store
    std::uint16_t send_quota_max_ = 1;
    std::uint64_t last_sequence_ = 65534;  ///< so that the first id is 1
    std::uint64_t last_sent_ = 0;
    Ring<Inflight> inflight_;  ///< sorted by sequence; done ones leave from the front
    std::uint32_t inflight_live_ = 0;
    std::uint32_t held_ = 0;  ///< of them, the PUBLISHes not yet repeated
    std::uint32_t inflight_unloaded_ =
        0;  ///< after a restart or spill(): in flight, but counted in behind_messages_
    bool oldest_asked_ = false;
    bool over_limit_ = false;                  ///< what is to be dropped for what was taken is not known yet
    bool shared_behind_ = false;               ///< some of what is behind came by shared subscriptions
    std::size_t inflight_unloaded_bytes_ = 0;  ///< likewise
    std::size_t inflight_bytes_ = 0;
    Ring<QueueEntry> queue_;  ///< the oldest waiting messages
    std::size_t queue_bytes_ = 0;
    std::size_t behind_messages_ = 0;  ///< in the store behind queue_
    std::size_t behind_bytes_ = 0;
    /// The first of queue_, so many, have the packet ids that end with last_sequence_: progress() has them as
    /// if they were in flight, so that they may be sent at any time from when it is durable.
    std::uint16_t announced_ = 0;
    std::uint16_t announced_max_ = 0;
    std::uint16_t unrecorded_ = 0;  ///< of them, the last, whose record is not durable yet
    bool offered_since_load_ = false;
    /// The first of what is behind, the newest first, while queue_ is empty and a full queue loses messages.
    std::vector<StoredRow> oldest_behind_;
    RowId newest_row_in_memory_ = 0;
    PacketIdSet inbound_;  ///< QoS 2 received, not released
};

}  // namespace sluice::core
