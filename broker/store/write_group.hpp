#pragma once
/// WriteGroup: the net outcome of all batches that wait for the next commit. Batches are merged as they come:
/// what one appends and a later one settles is never written, of repeated saves the last one stays. So a
/// group that the disk refused keeps taking batches, and shrinks as its messages are delivered.
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/ledger.hpp"
#include "store/retained_gate.hpp"
#include "store/settle_ledger.hpp"
#include "store/store.hpp"

namespace sluice::store {

struct WriteGroup {
    using SubscriptionKey = std::pair<core::SessionKey, std::string>;
    using PublishKey = std::pair<core::SessionKey, wire::PacketId>;

    // To be written in this order: what frees space comes first, so that a full store can be drained.
    std::set<core::SessionKey> sessions_removed;
    std::vector<core::RowId> rows_settled;      ///< on disk, nobody needs them
    std::vector<core::RowId> rows_quarantined;  ///< on disk, unreadable
    std::vector<ChunkKey> chunks_dead;          ///< their marks may go
    std::set<PublishKey> arrivals_forgotten;    ///< those on disk
    std::map<core::SessionKey, core::SessionRecord> sessions;
    std::map<SubscriptionKey, std::optional<core::SubscriptionOptions>> subscriptions;  ///< none: removed
    std::map<core::SessionKey, core::SaveProgress> progress;
    std::set<std::pair<ChunkKey, core::SessionKey>> marks;  ///< taken from the ledger when written
    std::map<core::RowId, core::AppendMessage> appends;
    std::map<PublishKey, std::vector<core::NoteArrival>> arrivals;
    std::unordered_map<std::string, core::MessagePtr> retained;  ///< null: cleared

    /// Rows of removed sessions: nobody can reach them, so they may go a few at a time (and at the next start
    /// when there is no time).
    std::deque<core::RowId> rows_doomed;
    RetainedGate retained_gate;  ///< outlives a commit, too

    std::map<ShardIndex, TurnNumber> turns;  ///< to be told
    std::uint64_t entries = 0;               ///< merged since the last commit
    std::uint64_t messages = 0;              ///< of these, with a body
    core::RowId row_max = 0;                 ///< seen since the last commit, cancelled ones too
    core::SessionKey session_key_max = 0;    ///< likewise
    std::uint64_t rows_cancelled = 0;        ///< appended and settled before a commit

    /// Merges a batch and notes it in the ledger.
    void merge(ShardIndex shard, TurnNumber turn, std::vector<core::LedgerEntry>&& batch,
               SettleLedger& ledger);
    /// A row that the file could not give back: settled for this session, and set aside when it was the last.
    void quarantine(core::SessionKey session, core::RowId row, SettleLedger& ledger);
    /// Nothing to write.
    bool empty() const;
    bool nothing_but_doomed() const;
    /// Frees at least as many rows as it adds.
    bool drains() const { return appends.size() + retained.size() + arrivals.size() <= rows_settled.size(); }
    /// After a commit: all is written but the doomed rows behind the first `doomed_done`.
    void clear(std::size_t doomed_done);
};

}  // namespace sluice::store
