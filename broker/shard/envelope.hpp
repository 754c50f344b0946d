#pragma once
/// The full list of what may cross threads towards a shard.
#include <latch>
#include <memory>
#include <variant>

#include "auth/auth.hpp"
#include "core/shared_groups.hpp"
#include "shard/inlet.hpp"
#include "shard/limits.hpp"
#include "shard/passage.hpp"
#include "store/store.hpp"

namespace sluice::shard {

/// Who waits for an answer: the publishing shard's ticket. Shard UINT32_MAX: nobody.
struct TicketRef {
    std::uint32_t shard = UINT32_MAX;
    std::uint64_t ticket = 0;
    explicit operator bool() const { return shard != UINT32_MAX; }
};

namespace mail {

// What is large and rare stands behind a pointer: every letter takes the room of the largest.
struct Admit {
    std::unique_ptr<Admission> admission;
};
struct AddLink {
    std::unique_ptr<LinkSpec> spec;
};
struct RemoveLink {
    LinkNumber number;
};
struct Note {
    LinkNumber number;
    LinkNote note;
};
/// One copy of a message, for one member of a shared subscription.
struct ShareOrder {
    core::Share share;
    std::vector<std::uint32_t> tried = {};  ///< shards that had nobody for it
    bool sent_on = false;                   ///< by a shard that knew of readier members
};
/// A message that entered on another shard.
struct Deliver {
    core::MessagePtr message;
    TicketRef ticket;
    std::vector<ShareOrder> shares = {};
    OriginPtr origin = {};
};
/// The same, and the other subscriptions of that shard have been served, or are no matter of it.
struct DeliverShares : Deliver {};
/// What the members of a shared subscription on that shard come to now.
struct GroupNews {
    std::uint32_t shard;
    core::SharedGroups::News news;
    TicketRef ticket;
};
/// A shard has done its part for a ticket of ours.
struct Answer {
    std::uint64_t ticket;
    wire::ReasonCode code;
    bool matched;
};
struct Publish {
    core::MessagePtr message;
};
/// From an upstream.
struct Brought {
    std::shared_ptr<BroughtSink> sink;
    std::vector<BroughtMessage> messages;
};
struct LinkSessions {
    std::unique_ptr<LinkSessionErrand> errand;
};
struct Committed {
    store::TurnNumber turn;
};
struct QueueLoaded {
    core::SessionKey session;
    std::vector<core::QueueEntry> entries;
    bool exhausted;
};
struct OldestFound {
    core::SessionKey session;
    std::vector<core::StoredRow> rows;
    bool exhausted;
};
/// New users, rights and limits, for all that happens from now on.
struct Reload {
    std::shared_ptr<auth::Authenticator> authenticator;
    std::shared_ptr<const auth::Authorizer> authorizer;
    std::unique_ptr<const Limits> limits;
};
/// Are you there? The shard raises its `pings` counter.
struct Ping {};
/// Another shard has seen that memory becomes short: whoever has no traffic of its own would not notice.
struct LookAtMemory {};
/// End all connections; `done` is told when what follows from that (wills) is on its way to the other shards.
struct Close {
    std::shared_ptr<std::latch> done;
};
struct Stop {};

}  // namespace mail

using Envelope =
    std::variant<mail::Admit, mail::AddLink, mail::RemoveLink, mail::Note, mail::Deliver, mail::DeliverShares,
                 mail::Answer, mail::Publish, mail::Brought, mail::LinkSessions, mail::GroupNews,
                 mail::Committed, mail::QueueLoaded, mail::OldestFound, mail::Reload, mail::Ping,
                 mail::LookAtMemory, mail::Close, mail::Stop>;
/// A letter with work for many messages: a turn that has done it makes way for others.
inline bool carries_many(const Envelope& letter) {
    if (const auto* note = std::get_if<mail::Note>(&letter))
        return std::holds_alternative<UpstreamConfirmed>(note->note);
    return std::holds_alternative<mail::QueueLoaded>(letter) || std::holds_alternative<mail::Brought>(letter);
}
/// Tens of thousands of them may wait for one shard.
static_assert(sizeof(Envelope) <= 64);

}  // namespace sluice::shard
