#include "store/write_group.hpp"

#include <fmt/format.h>

#include "base/log.hpp"

namespace sluice::store {
namespace {

using Settled = SettleLedger::Settled;

/// One overload per ledger entry: what it changes in the group and in the ledger.
class Merger {
  public:
    Merger(WriteGroup& group, SettleLedger& ledger) : group_(group), ledger_(ledger) {}

    void operator()(core::AppendMessage& e) {
        ++group_.messages;
        bool taken = false;
        for (const auto& target : e.targets) taken |= ledger_.open_row(target.session, e.row);
        if (!taken) {
            log::error(fmt::format("store: a message has no known receiver row={}", e.row));
            return;
        }
        const core::RowId row = e.row;
        group_.row_max = std::max(group_.row_max, row);
        group_.appends.insert_or_assign(row, std::move(e));
    }

    void operator()(const core::SettleMessage& e) {
        switch (ledger_.settle(e.session, e.row)) {
            case Settled::not_open:
                break;
            case Settled::last:
                if (!cancel(e.row)) group_.rows_settled.push_back(e.row);
                break;
            case Settled::others:
                // An append that still waits is written without those who are done with it.
                if (!group_.appends.contains(e.row)) mark(e.row, e.session);
                break;
        }
    }

    void operator()(core::SaveProgress& e) {
        const core::SessionKey session = e.session;
        if (known(session)) group_.progress.insert_or_assign(session, std::move(e));
    }

    void operator()(core::SaveSession& e) {
        ledger_.add_session(e.record.key);
        const core::SessionKey key = e.record.key;
        group_.session_key_max = std::max(group_.session_key_max, key);
        group_.sessions.insert_or_assign(key, std::move(e.record));
    }

    void operator()(const core::RemoveSession& e) {
        group_.sessions.erase(e.session);
        group_.progress.erase(e.session);
        auto& subscriptions = group_.subscriptions;
        subscriptions.erase(subscriptions.lower_bound({e.session, {}}),
                            subscriptions.lower_bound({e.session + 1, {}}));
        erase_from(group_.arrivals, e.session);
        erase_from(group_.arrivals_forgotten, e.session);
        group_.sessions_removed.insert(e.session);
        for (const core::RowId row : ledger_.remove_session(e.session))
            if (!cancel(row)) group_.rows_doomed.push_back(row);
    }

    void operator()(core::SaveSubscription& e) {
        if (known(e.session)) group_.subscriptions[{e.session, std::move(e.filter)}] = e.options;
    }

    void operator()(core::RemoveSubscription& e) {
        if (known(e.session)) group_.subscriptions[{e.session, std::move(e.filter)}] = std::nullopt;
    }

    void operator()(core::SetRetained& e) {
        ++group_.messages;
        std::string topic(e.message->topic());
        if (group_.retained_gate.admit(topic, e.sequence))
            group_.retained.insert_or_assign(std::move(topic), std::move(e.message));
    }

    void operator()(core::ClearRetained& e) {
        if (group_.retained_gate.admit(e.topic, e.sequence)) group_.retained[std::move(e.topic)] = {};
    }

    void operator()(const core::RetainedUpTo& e) { group_.retained_gate.forget_up_to(e.sequence); }

    // The publisher's session may have ended while others worked on its message.
    void operator()(core::NoteArrival& e) {
        if (!ledger_.has_session(e.publisher)) return;
        const WriteGroup::PublishKey key{e.publisher, e.packet_id};
        group_.arrivals[key].push_back(std::move(e));
    }

    void operator()(const core::ForgetArrivals& e) {
        if (!ledger_.has_session(e.publisher)) return;
        group_.arrivals.erase({e.publisher, e.packet_id});
        group_.arrivals_forgotten.emplace(e.publisher, e.packet_id);
    }

  private:
    template <class ByPublish>
    static void erase_from(ByPublish& container, core::SessionKey session) {
        container.erase(container.lower_bound({session, 0}), container.lower_bound({session + 1, 0}));
    }

    bool cancel(core::RowId row) {
        if (group_.appends.erase(row) == 0) return false;
        ++group_.rows_cancelled;
        return true;
    }

    void mark(core::RowId row, core::SessionKey session) {
        group_.marks.emplace(chunk_of(row), session);
        ledger_.note_marks(chunk_of(row));
    }

    bool known(core::SessionKey session) const {
        if (ledger_.has_session(session)) return true;
        log::error(fmt::format("store: an entry for an unknown session was left out session={}", session));
        return false;
    }

    WriteGroup& group_;
    SettleLedger& ledger_;
};

void append_all(std::vector<ChunkKey>& to, const std::vector<ChunkKey>& from) {
    to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

void WriteGroup::merge(ShardIndex shard, TurnNumber turn, std::vector<core::LedgerEntry>&& batch,
                       SettleLedger& ledger) {
    Merger merger(*this, ledger);
    for (auto& entry : batch) std::visit(merger, entry);
    entries += batch.size();
    append_all(chunks_dead, ledger.take_dead_chunks());
    TurnNumber& highest = turns[shard];
    highest = std::max(highest, turn);
}

void WriteGroup::quarantine(core::SessionKey session, core::RowId row, SettleLedger& ledger) {
    switch (ledger.settle(session, row)) {
        case Settled::not_open:
            break;
        case Settled::last:
            rows_quarantined.push_back(row);
            break;
        case Settled::others:
            marks.emplace(chunk_of(row), session);
            ledger.note_marks(chunk_of(row));
            break;
    }
    append_all(chunks_dead, ledger.take_dead_chunks());
}

bool WriteGroup::empty() const {
    return rows_doomed.empty() && nothing_but_doomed();
}

bool WriteGroup::nothing_but_doomed() const {
    return sessions_removed.empty() && rows_settled.empty() && rows_quarantined.empty() &&
           chunks_dead.empty() && sessions.empty() && subscriptions.empty() && progress.empty() &&
           marks.empty() && appends.empty() && arrivals_forgotten.empty() && arrivals.empty() &&
           retained.empty();
}

void WriteGroup::clear(std::size_t doomed_done) {
    auto doomed = std::move(rows_doomed);
    doomed.erase(doomed.begin(), doomed.begin() + static_cast<std::ptrdiff_t>(doomed_done));
    auto gate = std::move(retained_gate);
    *this = WriteGroup{};
    rows_doomed = std::move(doomed);
    retained_gate = std::move(gate);
}

}  // namespace sluice::store
