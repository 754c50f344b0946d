#pragma once
/// Backend: what a store stands on. All calls come from one thread at a time.
#include <string>

#include "base/result.hpp"
#include "store/settle_ledger.hpp"
#include "store/store.hpp"
#include "store/write_group.hpp"

namespace sluice::store {

enum class IoState : std::uint8_t {
    done,
    missing,  ///< read: the row is not there, or its bytes are not what was written
    waits,    ///< the disk refuses for now; try again later
    damaged,  ///< the file contradicts itself; repair() first
};

struct IoReport {
    IoState state = IoState::done;
    std::string problem;  ///< one line for the operator; empty when done
};

class Backend {
  public:
    /// Rows of removed sessions that one commit deletes at most: keeps a commit short.
    static constexpr std::size_t doomed_rows_max = 4096;

    virtual ~Backend() = default;
    /// Fills the ledger with what is there.
    virtual Result<Recovered, std::string> open(SettleLedger& ledger) = 0;
    /// All of the group (of the doomed rows the first `doomed_rows_max`) or nothing.
    virtual IoReport write(const WriteGroup& group, const SettleLedger& ledger) = 0;
    /// Between these two there are only reads and repair(): they may be cheaper together.
    virtual void begin_reads() {}
    virtual void end_reads() {}
    virtual IoReport read(core::RowId row, core::SessionKey session, core::QueueEntry& entry) = 0;
    /// How long the body of a row is; it is not read.
    virtual IoReport read_size(core::RowId row, std::size_t& bytes) = 0;
    /// Sets a damaged file aside and goes on with what could be saved of it.
    virtual IoReport repair() = 0;
    /// Not empty: it is so near a limit that whoever makes it larger should wait. One line for the operator.
    virtual std::string pressure() = 0;
    virtual void close() = 0;
    virtual void add_stats(StoreStats& stats) const = 0;
};

}  // namespace sluice::store
