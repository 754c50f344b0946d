#pragma once
/// Recovery: reads what the store's file holds into memory, and notes what in it does not hold. Writes
/// nothing.
#include <string>
#include <utility>
#include <vector>

#include "core/ledger.hpp"
#include "store/settle_ledger.hpp"
#include "store/sqlite_db.hpp"
#include "store/store.hpp"

namespace sluice::store {

/// What is out of order in a file that can be read.
struct Findings {
    std::vector<core::RowId> rows_orphaned, rows_bad;
    std::vector<core::RowId> bodies_bad;  ///< found by Recovery::check_bodies alone
    std::vector<core::SessionKey> sessions_bad, progress_bad;
    std::vector<std::pair<core::SessionKey, std::string>> subscriptions_bad;
    std::vector<std::uint64_t> retained_bad;
    std::vector<core::NoteArrival> arrivals_bad;
    std::vector<ChunkKey> chunks_dead;
    bool strays = false;  ///< something of sessions that are not there

    bool any() const;
    /// One line per kind of thing that is lost; what a crash leaves behind in the ordinary way is not.
    std::vector<std::string> describe() const;
};

/// All members return SQLITE_OK or SQLite's error.
class Recovery {
  public:
    /// All three must outlive it; `ledger` and `out` are empty.
    Recovery(SqliteDb& db, SettleLedger& ledger, Recovered& out) : db_(db), ledger_(ledger), out_(out) {}

    int read();
    /// Reads every message too. A start does not: what is damaged is found when it is delivered.
    int check_bodies();
    const Findings& findings() const { return findings_; }

  private:
    int read_sessions();
    int read_subscriptions();
    int read_progress();
    int read_messages();
    int read_inflight();
    int read_arrivals();
    int read_retained();
    int read_dead_chunks();
    int read_limits();

    SqliteDb& db_;
    SettleLedger& ledger_;
    Recovered& out_;
    Findings findings_;
};

}  // namespace sluice::store
