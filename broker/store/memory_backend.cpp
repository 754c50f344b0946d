#include "store/memory_backend.hpp"

#include <sys/random.h>

#include <algorithm>

#include "base/check.hpp"
#include "store/queued_store.hpp"

namespace sluice::store {

std::uint64_t MemoryBackend::make_id() {
    std::uint64_t bits = 0;
    CHECK(::getrandom(&bits, sizeof bits, 0) == sizeof bits);
    return bits;
}

/// Opened again (tests do): the ledger still knows what is open.
Result<Recovered, std::string> MemoryBackend::open(SettleLedger& ledger) {
    Recovered out;
    out.id = id_;
    for (const auto& [key, session] : sessions_) {
        RecoveredSession one{.record = session.record, .subscriptions = {}, .progress = session.progress};
        one.progress.session = key;
        for (const auto& [filter, options] : session.subscriptions)
            one.subscriptions.push_back({key, filter, options});
        for (const auto& [id, notes] : session.arrivals)
            one.arrivals.insert(one.arrivals.end(), notes.begin(), notes.end());
        for (const core::RowId row : ledger.open_rows(key, 0, SIZE_MAX)) {
            ++one.queue_messages;
            const core::AppendMessage& stored = messages_.at(row);
            one.queue_bytes += stored.message->body().size();
            for (const core::QueueTarget& target : stored.targets)
                one.queue_shared |= target.session == key && target.share;
        }
        for (const core::InflightRecord& sent : one.progress.outbound)
            if (ledger.is_open(key, sent.row))
                one.inflight_bytes += messages_.at(sent.row).message->body().size();
        out.sessions.push_back(std::move(one));
    }
    for (const auto& [topic, message] : retained_) out.retained.push_back(message);
    out.session_key_max = session_key_max_;
    out.row_max = row_max_;
    return out;
}

void MemoryBackend::remove_sessions(const WriteGroup& group) {
    for (const core::SessionKey key : group.sessions_removed) sessions_.erase(key);
    for (const core::RowId row : group.rows_settled) messages_.erase(row);
    for (const core::RowId row : group.rows_quarantined) messages_.erase(row);
    const std::size_t doomed = std::min(group.rows_doomed.size(), doomed_rows_max);
    for (std::size_t i = 0; i < doomed; ++i) messages_.erase(group.rows_doomed[i]);
    for (const auto& [key, id] : group.arrivals_forgotten)
        if (const auto found = sessions_.find(key); found != sessions_.end())
            found->second.arrivals.erase(id);
}

IoReport MemoryBackend::write(const WriteGroup& group, const SettleLedger&) {
    remove_sessions(group);
    session_key_max_ = std::max(session_key_max_, group.session_key_max);
    row_max_ = std::max(row_max_, group.row_max);
    for (const auto& [key, record] : group.sessions) {
        sessions_[key].record = record;
    }
    for (const auto& [key, options] : group.subscriptions) {
        auto& subscriptions = sessions_[key.first].subscriptions;
        if (options) {
            subscriptions.insert_or_assign(key.second, *options);
        } else {
            subscriptions.erase(key.second);
        }
    }
    for (const auto& [key, progress] : group.progress) sessions_[key].progress = progress;
    for (const auto& [row, append] : group.appends) {
        messages_.insert_or_assign(row, append);
    }
    for (const auto& [key, notes] : group.arrivals) {
        auto& all = sessions_[key.first].arrivals[key.second];
        all.insert(all.end(), notes.begin(), notes.end());
    }
    for (const auto& [topic, message] : group.retained) {
        if (message) {
            retained_.insert_or_assign(topic, message);
        } else {
            retained_.erase(topic);
        }
    }
    return {};
}

IoReport MemoryBackend::read(core::RowId row, core::SessionKey session, core::QueueEntry& entry) {
    const auto found = messages_.find(row);
    if (found == messages_.end()) return {IoState::missing, "not there"};
    for (const auto& target : found->second.targets) {
        if (target.session != session) continue;
        entry = {row,           found->second.message,           target.qos,
                 target.retain, target.subscription_identifiers, target.share};
        return {};
    }
    return {IoState::missing, "not for this session"};
}

IoReport MemoryBackend::read_size(core::RowId row, std::size_t& bytes) {
    const auto found = messages_.find(row);
    if (found == messages_.end()) return {IoState::missing, "not there"};
    bytes = found->second.message->body().size();
    return {};
}

std::unique_ptr<Store> make_memory_store() {
    StoreSettings settings;
    settings.durability.mode = DurabilityMode::memory;
    settings.durability.window = std::chrono::milliseconds(0);
    return std::make_unique<QueuedStore>(settings, std::make_unique<MemoryBackend>());
}

}  // namespace sluice::store
