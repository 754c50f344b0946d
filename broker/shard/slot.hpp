#pragma once
/// Slot: a session with all that the shard knows about it beyond the specification's session state.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/memory_gauge.hpp"
#include "core/session.hpp"
#include "shard/inlet.hpp"
#include "shard/passage.hpp"
#include "shard/retained_run.hpp"
#include "shard/ticket_table.hpp"

namespace sluice::shard {

/// What only the slot of a lane has.
struct LaneSlot {
    LinkNumber number = 0;
    std::function<bool(const core::Message&)> accepts;
    bool ack_upstream = false;
    bool after_commit = false;
    struct Waiting {
        TicketId ticket = 0;
        MonoTime since{};
    };
    using Waits = std::unordered_map<core::RowId, Waiting>;
    /// ack_upstream: publishers that wait for the end of a row.
    Waits waiting;
    /// last_value: what has come since the far end went, by topic. Bounded: topics beyond are kept whole.
    bool last_value = false;
    struct Newest {
        core::RowId row = 0;
        std::size_t bytes = 0;
    };
    std::unordered_map<std::uint64_t, Newest> newest;
    bool only_newest(const core::Session& session) const { return last_value && !session.attached(); }
    std::vector<core::RowId> forgotten;  ///< while the store reads the queue
    core::RowId dropped_up_to = 0;       ///< a full queue has lost its oldest, up to this row
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
    /// Of those that members of shared subscriptions may have.
    std::unordered_map<wire::PacketId, core::ExchangePtr> exchanges;

    /// Into `over`: they are recorded, or refused, with the batch of this turn.
    void end_exchange(wire::PacketId packet_id, std::vector<core::ExchangePtr>& over);
    void end_exchanges(std::vector<core::ExchangePtr>& over);
};

/// What a client is subscribed to, for its own questions; most devices only publish.
class OwnSubscriptions {
  public:
    using Map = std::map<std::string, core::SubscriptionOptions, std::less<>>;

    auto begin() const { return map().begin(); }
    auto end() const { return map().end(); }
    auto find(std::string_view filter) const { return map().find(filter); }
    bool contains(std::string_view filter) const { return map().contains(filter); }
    std::size_t size() const { return map().size(); }
    /// True when it is new.
    bool set(std::string_view filter, const core::SubscriptionOptions& options) {
        if (!map_) map_ = std::make_unique<Map>();
        return map_->insert_or_assign(std::string(filter), options).second;
    }
    /// False when there was none.
    bool erase(std::string_view filter) {
        if (!map_) return false;
        const auto it = map_->find(filter);
        if (it == map_->end()) return false;
        map_->erase(it);
        if (map_->empty()) map_.reset();
        return true;
    }

  private:
    const Map& map() const {
        static const Map none;
        return map_ ? *map_ : none;
    }
    std::unique_ptr<Map> map_;
};

struct Slot {
    std::optional<core::Session> session;  ///< none: the slot is free
    std::unique_ptr<Link> link;            ///< none: nobody is connected
    std::uint32_t generation = 0;  ///< rises when the slot is given to another session, and with each link
    std::uint32_t expiry_interval_s = 0;
    std::string client_id;
    std::string user_name;
    std::unique_ptr<AdmittedWill> will;
    std::optional<WallTime> disconnected_at;
    OwnSubscriptions subscriptions;
    std::unique_ptr<LaneSlot> lane;
    std::unique_ptr<RetainedRun> retained;        ///< none: they all have left
    std::unique_ptr<HalfReceived> half_received;  ///< none: all has been recorded, or refused
    core::RowId last_row = 0;                     ///< the newest one that it was a receiver of
    std::uint32_t shares = 0;                     ///< shared subscriptions among them
    std::uint32_t gated = 0;                      ///< runs of sends to this link that wait for a commit
    memory_gauge::Kept kept;                      ///< the session, its subscriptions and its will
    /// Of a lane: Session::forget_behind().
    void forget(core::RowId row, std::size_t bytes, core::Effects& effects) {
        if (session->oldest_asked() || session->loading()) lane->forgotten.push_back(row);
        session->forget_behind(row, bytes, effects);
    }
    bool progress_dirty = false;
    bool link_dirty = false;
};

constexpr std::uint32_t never_expires = 0xFFFFFFFF;
/// About what a session takes that has nothing yet, and a subscription, here and in the tree.
constexpr std::size_t session_bytes = 1000;
std::size_t subscription_bytes(std::string_view filter);
/// What the session keeps, anew.
void count_kept(Slot& slot);

}  // namespace sluice::shard
