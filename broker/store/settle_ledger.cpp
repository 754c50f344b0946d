#include "store/settle_ledger.hpp"

#include <algorithm>
#include <bit>

namespace sluice::store {
namespace {

void append_rows(ChunkKey chunk, const RowBits& bits, core::RowId after, std::vector<core::RowId>& out) {
    for (unsigned word = 0; word < bits.words.size(); ++word) {
        for (std::uint64_t left = bits.words[word]; left != 0; left &= left - 1) {
            const auto offset = word * 64 + static_cast<unsigned>(std::countr_zero(left));
            const core::RowId row = row_at(chunk, offset);
            if (row > after) out.push_back(row);
        }
    }
}

}  // namespace

bool SettleLedger::open_row(core::SessionKey session, core::RowId row) {
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return false;
    RowBits& bits = found->second.open[chunk_of(row)];
    const unsigned offset = offset_in_chunk(row);
    if (bits.test(offset)) return false;
    bits.set(offset);
    auto& chunk = chunks_[chunk_of(row)];
    if (!chunk) chunk = std::make_unique<Chunk>();
    if (chunk->targets_open[offset]++ == 0) {
        ++chunk->rows;
        ++rows_;
    }
    chunk->covered = std::max(chunk->covered, offset + 1);
    return true;
}

SettleLedger::Settled SettleLedger::release(core::RowId row) {
    const auto found = chunks_.find(chunk_of(row));
    if (found == chunks_.end()) return Settled::not_open;
    Chunk& chunk = *found->second;
    auto& targets = chunk.targets_open[offset_in_chunk(row)];
    if (targets == 0) return Settled::not_open;
    if (--targets > 0) return Settled::others;
    --rows_;
    if (--chunk.rows == 0) {
        if (chunk.marks) dead_chunks_.push_back(found->first);
        chunks_.erase(found);
    }
    return Settled::last;
}

SettleLedger::Settled SettleLedger::settle(core::SessionKey session, core::RowId row) {
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return Settled::not_open;
    auto& open = found->second.open;
    const auto bits = open.find(chunk_of(row));
    const unsigned offset = offset_in_chunk(row);
    if (bits == open.end() || !bits->second.test(offset)) return Settled::not_open;
    bits->second.clear(offset);
    if (bits->second.none()) open.erase(bits);
    return release(row);
}

std::vector<core::RowId> SettleLedger::remove_session(core::SessionKey session) {
    std::vector<core::RowId> last;
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return last;
    std::vector<core::RowId> rows;
    for (const auto& [chunk, bits] : found->second.open) {
        rows.clear();
        append_rows(chunk, bits, 0, rows);
        for (const core::RowId row : rows)
            if (release(row) == Settled::last) last.push_back(row);
    }
    sessions_.erase(found);
    return last;
}

bool SettleLedger::is_open(core::SessionKey session, core::RowId row) const {
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return false;
    const auto bits = found->second.open.find(chunk_of(row));
    return bits != found->second.open.end() && bits->second.test(offset_in_chunk(row));
}

std::vector<core::RowId> SettleLedger::open_rows(core::SessionKey session, core::RowId after,
                                                 std::size_t rows_max) const {
    std::vector<core::RowId> out;
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return out;
    const auto& open = found->second.open;
    auto at = open.lower_bound((after >> 16) << 8);
    while (at != open.end() && out.size() < rows_max) {
        // A session that moved to another shard may have rows of several shards with the same counters.
        const std::uint64_t block = at->first >> 8;
        const auto first = static_cast<std::ptrdiff_t>(out.size());
        unsigned chunks = 0;
        for (; at != open.end() && at->first >> 8 == block; ++at, ++chunks)
            append_rows(at->first, at->second, after, out);
        if (chunks > 1) std::sort(out.begin() + first, out.end());
    }
    if (out.size() > rows_max) out.resize(rows_max);
    return out;
}

SettleLedger::Mark SettleLedger::mark(ChunkKey chunk, core::SessionKey session) const {
    Mark mark;
    const auto found = chunks_.find(chunk);
    if (found != chunks_.end()) mark.covered = found->second->covered;
    const auto owner = sessions_.find(session);
    if (owner == sessions_.end()) return mark;
    const auto bits = owner->second.open.find(chunk);
    if (bits != owner->second.open.end()) mark.open = bits->second;
    return mark;
}

void SettleLedger::note_marks(ChunkKey chunk) {
    const auto found = chunks_.find(chunk);
    if (found != chunks_.end()) found->second->marks = true;
}

}  // namespace sluice::store
