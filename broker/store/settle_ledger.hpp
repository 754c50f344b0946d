#pragma once
/// SettleLedger: who still needs which stored message. In memory only; the file keeps what it takes to build
/// it again.
///
/// Rows are grouped in chunks: 256 consecutive rows of one shard. A session has one bit per row that it has
/// not settled (about 80 bytes per chunk it takes part in); a chunk has a count of open targets per row. So a
/// backlog of a million messages costs some megabytes here, whatever their size, and finding the rows of one
/// session never reads those of others.
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/ledger.hpp"

namespace sluice::store {

/// Rows are counter * 256 + shard; a chunk is (counter / 256) * 256 + shard.
using ChunkKey = std::uint64_t;
constexpr unsigned chunk_rows = 256;
constexpr ChunkKey chunk_of(core::RowId row) {
    return (row >> 16) << 8 | (row & 255);
}
constexpr unsigned offset_in_chunk(core::RowId row) {
    return static_cast<unsigned>(row >> 8) & 255U;
}
constexpr core::RowId row_at(ChunkKey chunk, unsigned offset) {
    return (chunk >> 8) << 16 | std::uint64_t{offset} << 8 | (chunk & 255);
}

/// One bit per row of a chunk.
struct RowBits {
    std::array<std::uint64_t, chunk_rows / 64> words{};

    bool test(unsigned i) const { return (words[i / 64] >> (i % 64)) & 1; }
    void set(unsigned i) { words[i / 64] |= std::uint64_t{1} << (i % 64); }
    void clear(unsigned i) { words[i / 64] &= ~(std::uint64_t{1} << (i % 64)); }
    bool none() const { return (words[0] | words[1] | words[2] | words[3]) == 0; }
};

class SettleLedger {
  public:
    enum class Settled : std::uint8_t {
        not_open,  ///< it was settled before, or never there
        others,    ///< other sessions still need the row
        last,      ///< nobody needs the row any more
    };
    /// What the file must know of a session's part in a chunk whose rows it shares with others: of the first
    /// `covered` rows, those not in `open` are settled.
    struct Mark {
        unsigned covered = 0;
        RowBits open;
    };

    void add_session(core::SessionKey session) { sessions_.try_emplace(session); }
    bool has_session(core::SessionKey session) const { return sessions_.contains(session); }
    std::size_t sessions() const { return sessions_.size(); }
    /// Opens a row for one known session; false when the session is unknown or has the row already.
    bool open_row(core::SessionKey session, core::RowId row);
    Settled settle(core::SessionKey session, core::RowId row);
    /// Forgets the session; returns the rows that only it still needed.
    std::vector<core::RowId> remove_session(core::SessionKey session);

    bool is_open(core::SessionKey session, core::RowId row) const;
    /// Rows of the session behind `after`, in order, at most `rows_max`.
    std::vector<core::RowId> open_rows(core::SessionKey session, core::RowId after,
                                       std::size_t rows_max) const;
    /// Rows that somebody still needs.
    std::uint64_t rows() const { return rows_; }

    bool chunk_in_use(ChunkKey chunk) const { return chunks_.contains(chunk); }
    Mark mark(ChunkKey chunk, core::SessionKey session) const;
    /// Notes that the file has, or will have, marks for this chunk.
    void note_marks(ChunkKey chunk);
    /// Chunks with marks whose rows are all gone since the last call.
    std::vector<ChunkKey> take_dead_chunks() { return std::exchange(dead_chunks_, {}); }

  private:
    struct Chunk {
        std::array<std::uint32_t, chunk_rows> targets_open{};
        unsigned rows = 0;     ///< with open targets
        unsigned covered = 0;  ///< highest offset ever opened + 1
        bool marks = false;
    };
    struct Session {
        std::map<ChunkKey, RowBits> open;
    };

    Settled release(core::RowId row);

    std::unordered_map<core::SessionKey, Session> sessions_;
    std::unordered_map<ChunkKey, std::unique_ptr<Chunk>> chunks_;
    std::vector<ChunkKey> dead_chunks_;
    std::uint64_t rows_ = 0;
};

}  // namespace sluice::store
