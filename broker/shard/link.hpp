#pragma once
/// Link: the far end of a session: a socket, or a lane of a bridge. Lives on its shard's thread.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.hpp"
#include "core/effects.hpp"
#include "core/session.hpp"
#include "shard/bridge_control.hpp"

namespace sluice::shard {

/// What a connector's thread tells a lane; carried by the shard's mailbox.
struct UpstreamUp {
    std::uint64_t epoch = 0;  ///< which time of being up this is
};
struct UpstreamDown {
    std::string reason;
};
struct UpstreamConfirmed {
    struct One {
        std::uint64_t tag = 0;
        bool delivered = true;
        std::string reason;   ///< when not delivered
        bool let_go = false;  ///< not delivered, and not to be tried again
    };
    std::vector<One> confirms;
};
/// An operator wants nothing more to be sent, or again.
struct LinkPaused {
    bool paused = true;
};
/// What an operator asks of a queue of dead letters.
struct DeadLetterRequest {
    enum class Task : std::uint8_t { list, show, retry, drop };
    Task task = Task::list;
    std::vector<core::RowId> ids;  ///< sorted; none: all
    core::RowId after = 0;         ///< list: those behind this one
    std::size_t count_max = 100;   ///< list
    struct Answer {
        std::vector<DeadLetter> letters;  ///< list, show
        std::size_t done = 0;             ///< retry, drop
        std::string problem;              ///< why it ended early; else empty
    };
    std::function<void(Answer)> answer;  ///< on the shard's thread
};
using DeadLetterRequestPtr = std::shared_ptr<const DeadLetterRequest>;

using LinkNote = std::variant<UpstreamUp, UpstreamDown, UpstreamConfirmed, LinkPaused, DeadLetterRequestPtr>;

/// How much waits in the session behind a link.
struct Backlog {
    std::size_t messages = 0;
    std::size_t bytes = 0;
    WallTime oldest{};  ///< when the oldest message came; epoch: none known
};

class Link {
  public:
    virtual ~Link() = default;

    enum class Delivered : std::uint8_t {
        taken,
        too_large,  ///< over the far end's maximum: the session forgets it [MQTT-3.1.2-25]
        congested,  ///< QoS 0 only: the far end does not keep up; dropped and counted
        no_memory,  ///< QoS 0 only: likewise, and limits.memory_max is near
    };
    virtual Delivered deliver(const core::Send& send) = 0;
    /// Whether what may wait for the far end should be sent now; if not, the link says when
    /// (Shard::go_on_with_retained).
    virtual bool has_room() { return true; }
    /// The turn is over: let go what was delivered in it.
    virtual void flush(Now now) = 0;
    /// The session is taken from this link for a reason; it must not touch its session any more.
    virtual void end(wire::ReasonCode reason) = 0;

    /// For lanes; sockets have no use for them.
    virtual void on_note(LinkNote /*note*/) {}
    virtual void on_backlog(const Backlog& /*backlog*/) {}
    virtual void on_drop(core::DropReason /*reason*/) {}
    /// A newer message of its topic has taken the place of one that waited (LinkSpec::last_value).
    virtual void on_replaced() {}
    /// The answer to LinkHost::read_queue(). `exhausted`: nothing is behind the last entry.
    virtual void on_read(std::vector<core::QueueEntry> /*entries*/, bool /*exhausted*/) {}
    /// About every 50 ms.
    virtual void on_tick(Now /*now*/) {}
};

/// Sessions of bridges stand under this name; no client may take one.
constexpr std::string_view bridge_session_prefix = "$bridge/";

/// A number that wiring gives to a link that is not a socket; unique in the process.
using LinkNumber = std::uint32_t;

/// What a lane may ask of its shard; on the shard's thread.
class LinkHost {
  public:
    virtual ~LinkHost() = default;
    virtual Now now() = 0;
    /// The far end is there: its session sends, at most `quota` unconfirmed. What was in flight comes again,
    /// with dup set.
    virtual void attach_link(LinkNumber number, std::uint16_t quota) = 0;
    /// The far end is gone.
    virtual void detach_link(LinkNumber number) = 0;
    /// The far end has taken responsibility for one message (a PUBACK in all but name); unknown ids are
    /// ignored.
    virtual void confirm(LinkNumber number, wire::PacketId packet_id) = 0;
    /// The far end will never take this one: it is done with, and a publisher that waits for the upstream is
    /// told so.
    virtual void refuse(LinkNumber number, wire::PacketId packet_id) = 0;
    /// Puts a message into the queue of another link of this shard, in this turn's batch. False: it does not
    /// take it, or there is no such link.
    virtual bool give(LinkNumber to, const core::MessagePtr& message) = 0;
    // For links that are never attached, whose queue is on disk only:
    /// Reads the queue behind a row: on_read() follows. A link asks again only after that.
    virtual void read_queue(LinkNumber number, core::RowId after) = 0;
    /// Takes a message that was read out of the queue, in this turn's batch.
    virtual void forget(LinkNumber number, const core::QueueEntry& entry) = 0;
    /// What comes into any queue of this shard from now on has a higher one.
    virtual core::RowId newest_row() = 0;
};

/// A session without a socket, as it is put on a shard.
struct LinkSpec {
    LinkNumber number = 0;
    std::string client_id;  ///< "$bridge/plant/0/1": bridge, route, shard
    struct Wanted {
        std::string filter;
        core::SubscriptionOptions options;
    };
    std::vector<Wanted> subscriptions;
    core::QueueBounds bounds;
    /// The route's condition and its thinning; asked on the shard, once per message, before one enters the
    /// queue. May keep a state of its own. Empty: all. Never throws.
    std::function<bool(const core::Message&)> accepts;
    /// While the far end is not there, a message takes the place of an older one of its topic.
    bool last_value = false;
    /// The publisher's acknowledgement waits until this link confirmed, not only until the disk has it.
    bool ack_upstream = false;
    /// Only what is on disk is delivered: nothing goes out that a crash could make the publisher send again.
    bool after_commit = false;
    /// Builds the link on its shard's thread.
    std::function<std::unique_ptr<Link>(LinkHost&)> make;
};

}  // namespace sluice::shard
