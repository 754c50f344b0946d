/// SqliteBackend: what the file tells at the start. What does not hold is told to the operator and taken out
/// of the file.
#include <fmt/format.h>

#include "base/log.hpp"
#include "store/sqlite_backend.hpp"
#include "store/sqlite_recovery.hpp"

namespace sluice::store {

int SqliteBackend::recover(SettleLedger& ledger, Recovered& out) {
    Recovery recovery(db_, ledger, out);
    int rc = recovery.read();
    if (rc != SQLITE_OK) return rc;
    read_id();
    out.id = id_;
    row_limit_ = out.row_max;
    session_key_limit_ = out.session_key_max;
    const Findings& findings = recovery.findings();
    for (std::string& line : findings.describe()) out.damage.push_back(std::move(line));
    db_.query("PRAGMA page_count", pages_);
    if (!findings.any()) return SQLITE_OK;
    rc = put_right(findings);
    if (rc == SQLITE_OK || is_damage(rc)) return rc;
    // A full disk, say: what is wrong stays in the file and is found again at the next start.
    log::warn(fmt::format("store: {} could not be put right: {}", path_, db_.error()));
    if (sqlite3_get_autocommit(db_.get()) == 0) at(rollback).run();
    return SQLITE_OK;
}

/// One that was made before stores had ids gets it now; one that lost it by damage while we run gets it back.
void SqliteBackend::read_id() {
    constexpr auto select = "SELECT value FROM meta WHERE name='store_id'";
    std::uint64_t found = 0;
    if (db_.query(select, found) != SQLITE_OK) return;
    if (found == 0) {
        const std::string value = id_ == 0 ? "random()" : std::to_string(static_cast<std::int64_t>(id_));
        db_.exec(fmt::format("INSERT INTO meta(name, value) VALUES('store_id', {})", value).c_str());
        db_.query(select, found);
    }
    if (found != 0) id_ = found;
}

int SqliteBackend::put_right(const Findings& findings) {
    WriteGroup group;  // reuses the ordinary way of writing
    group.rows_settled = findings.rows_orphaned;
    group.rows_quarantined = findings.rows_bad;
    group.chunks_dead = findings.chunks_dead;
    group.sessions_removed.insert(findings.sessions_bad.begin(), findings.sessions_bad.end());
    for (const auto& key : findings.subscriptions_bad) group.subscriptions[key] = std::nullopt;
    for (const auto session : findings.progress_bad) group.progress[session].session = session;
    int rc = at(begin).run();
    if (rc == SQLITE_OK) rc = write_all(group, SettleLedger{});
    for (const auto id : findings.retained_bad)
        if (rc == SQLITE_OK) rc = at(retained_delete).bind(1, id).run();
    for (const core::NoteArrival& note : findings.arrivals_bad)
        if (rc == SQLITE_OK)
            rc = db_.exec(fmt::format("DELETE FROM arrival WHERE publisher={} AND packet_id={} AND row={}",
                                      static_cast<std::int64_t>(note.publisher), note.packet_id,
                                      static_cast<std::int64_t>(note.row))
                              .c_str());
    if (rc == SQLITE_OK && findings.strays)
        rc = db_.exec(
            "DELETE FROM subscription WHERE session NOT IN (SELECT key FROM session);"
            "DELETE FROM progress WHERE session NOT IN (SELECT key FROM session);"
            "DELETE FROM arrival WHERE publisher NOT IN (SELECT key FROM session)");
    if (rc == SQLITE_OK) rc = at(commit).run();
    return rc;
}

}  // namespace sluice::store
