/// Each value is checked before it is believed; what does not hold is left out.
#include "store/sqlite_recovery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/hash.hpp"
#include "store/crc32c.hpp"
#include "store/row_codec.hpp"

namespace sluice::store {
namespace {

RecoveredSession* find_session(Recovered& out, core::SessionKey key) {
    const auto found =
        std::lower_bound(out.sessions.begin(), out.sessions.end(), key,
                         [](const RecoveredSession& s, core::SessionKey k) { return s.record.key < k; });
    return found != out.sessions.end() && found->record.key == key ? &*found : nullptr;
}

bool read_session(const Statement& row, core::SessionRecord& record) {
    record.key = row.u64(0);
    record.client_id = row.text(2);
    record.user_name = row.text(3);
    record.expiry_interval_s = static_cast<std::uint32_t>(row.u64(4));
    if (!row.is_null(5)) record.disconnected_at = WallTime(Millis(static_cast<std::int64_t>(row.u64(5))));
    if (!row.is_null(7)) {
        auto message = core::Message::from_body(row.blob(7));
        if (!message) return false;
        record.will = core::StoredWill{std::move(message), static_cast<std::uint32_t>(row.u64(6))};
    }
    return row.u64(1) == checksum_of(record);
}

/// The marks of one block of chunks (those of all shards with the same counters).
class Marks {
  public:
    int load(SqliteDb& db, std::uint64_t block) {
        if (block == block_) return SQLITE_OK;
        block_ = block;
        marks_.clear();
        if (!select_)
            if (const int rc = db.prepare(
                    "SELECT chunk, session, covered, open FROM settled WHERE chunk >= ? AND chunk < ?",
                    select_);
                rc != SQLITE_OK)
                return rc;
        const ResetAtEnd reset(select_);
        select_.bind(1, block << 8).bind(2, (block + 1) << 8);
        int rc = SQLITE_OK;
        while ((rc = select_.step()) == SQLITE_ROW) {
            const Bytes open = select_.blob(3);
            marks_[{select_.u64(0), select_.u64(1)}] = {static_cast<unsigned>(select_.u64(2)),
                                                        ByteBuffer(open.begin(), open.end())};
        }
        return rc == SQLITE_DONE ? SQLITE_OK : rc;
    }

    bool any(ChunkKey chunk) const {
        const auto found = marks_.lower_bound({chunk, 0});
        return found != marks_.end() && found->first.first == chunk;
    }

    bool settled(core::SessionKey session, core::RowId row) const {
        const auto found = marks_.find({chunk_of(row), session});
        const unsigned offset = offset_in_chunk(row);
        if (found == marks_.end() || offset >= found->second.covered) return false;
        const ByteBuffer& open = found->second.open;
        return offset / 8 >= open.size() || ((open[offset / 8] >> (offset % 8)) & 1) == 0;
    }

  private:
    struct Mark {
        unsigned covered = 0;
        ByteBuffer open;
    };
    std::uint64_t block_ = UINT64_MAX;
    std::map<std::pair<ChunkKey, core::SessionKey>, Mark> marks_;
    Statement select_;
};

int end_of(int rc) {
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

}  // namespace

bool Findings::any() const {
    return !rows_orphaned.empty() || !rows_bad.empty() || !sessions_bad.empty() || !progress_bad.empty() ||
           !subscriptions_bad.empty() || !retained_bad.empty() || !arrivals_bad.empty() ||
           !chunks_dead.empty() || strays;
}

std::vector<std::string> Findings::describe() const {
    std::vector<std::string> damage;
    const auto tell = [&damage](std::size_t count, const char* what) {
        if (count > 0) damage.push_back(fmt::format("{} {}: the checksum did not hold", count, what));
    };
    tell(sessions_bad.size(), "sessions were left out with their queues");
    tell(subscriptions_bad.size(), "subscriptions were left out");
    tell(progress_bad.size(), "sessions lost the state of their deliveries");
    tell(rows_bad.size(), "messages were put into the table `damaged`");
    tell(retained_bad.size(), "retained messages were left out");
    tell(bodies_bad.size(), "messages cannot be delivered");
    tell(arrivals_bad.size(), "notes of who has a QoS 2 message already were left out");
    return damage;
}

int Recovery::read() {
    int rc = read_sessions();
    if (rc == SQLITE_OK) rc = read_subscriptions();
    if (rc == SQLITE_OK) rc = read_progress();
    if (rc == SQLITE_OK) rc = read_arrivals();
    if (rc == SQLITE_OK) rc = read_messages();
    if (rc == SQLITE_OK) rc = read_inflight();
    if (rc == SQLITE_OK) rc = read_dead_chunks();
    if (rc == SQLITE_OK) rc = read_retained();
    if (rc == SQLITE_OK) rc = read_limits();
    return rc;
}

int Recovery::check_bodies() {
    Statement select;
    int rc = db_.prepare("SELECT row, crc, body FROM message ORDER BY row", select, false);
    if (rc != SQLITE_OK) return rc;
    while ((rc = select.step()) == SQLITE_ROW) {
        const Bytes body = select.blob(2);
        if (select.u64(1) != crc32c_of(select.u64(0), body) || !core::Message::from_body(body))
            findings_.bodies_bad.push_back(select.u64(0));
    }
    return end_of(rc);
}

int Recovery::read_sessions() {
    Statement select;
    int rc = db_.prepare(
        "SELECT key, crc, client_id, user_name, expiry_interval_s, disconnected_at_ms, will_delay_s, will "
        "FROM session ORDER BY key",
        select, false);
    if (rc != SQLITE_OK) return rc;
    while ((rc = select.step()) == SQLITE_ROW) {
        RecoveredSession session;
        if (!read_session(select, session.record)) {
            findings_.sessions_bad.push_back(select.u64(0));
            continue;
        }
        session.progress.session = session.record.key;
        ledger_.add_session(session.record.key);
        out_.session_key_max = session.record.key;
        out_.sessions.push_back(std::move(session));
    }
    return end_of(rc);
}

int Recovery::read_subscriptions() {
    Statement select;
    int rc = db_.prepare("SELECT session, filter, crc, options, identifier FROM subscription", select, false);
    if (rc != SQLITE_OK) return rc;
    while ((rc = select.step()) == SQLITE_ROW) {
        core::SaveSubscription one{
            .session = select.u64(0), .filter = std::string(select.text(1)), .options = {}};
        const auto options = decode_options(select.u64(3));
        if (options) one.options = *options;
        one.options.identifier = static_cast<std::uint32_t>(select.u64(4));
        if (!options || select.u64(2) != checksum_of(one)) {
            findings_.subscriptions_bad.emplace_back(one.session, std::move(one.filter));
        } else if (auto* session = find_session(out_, one.session)) {
            session->subscriptions.push_back(std::move(one));
        } else {
            findings_.strays = true;
        }
    }
    return end_of(rc);
}

int Recovery::read_progress() {
    Statement select;
    int rc = db_.prepare("SELECT session, state FROM progress", select, false);
    if (rc != SQLITE_OK) return rc;
    while ((rc = select.step()) == SQLITE_ROW) {
        auto* session = find_session(out_, select.u64(0));
        auto progress = decode_progress(select.u64(0), select.blob(1));
        if (!progress) {
            findings_.progress_bad.push_back(select.u64(0));
        } else if (session) {
            session->progress = std::move(*progress);
        } else {
            findings_.strays = true;
        }
    }
    return end_of(rc);
}

int Recovery::read_arrivals() {
    Statement select;
    int rc = db_.prepare("SELECT publisher, packet_id, row, receivers FROM arrival", select, false);
    if (rc != SQLITE_OK) return rc;
    while ((rc = select.step()) == SQLITE_ROW) {
        core::NoteArrival note{.publisher = select.u64(0),
                               .packet_id = static_cast<wire::PacketId>(select.u64(1)),
                               .content = 0,
                               .row = select.u64(2),
                               .sessions = {},
                               .groups = {}};
        auto* session = find_session(out_, note.publisher);
        if (!decode_arrival(select.blob(3), note)) {
            findings_.arrivals_bad.push_back(std::move(note));
        } else if (session) {
            session->arrivals.push_back(std::move(note));
        } else {
            findings_.strays = true;
        }
    }
    return end_of(rc);
}

int Recovery::read_messages() {
    Statement select;
    Marks marks;
    // The body's length stands in the row's head: long bodies are not read here.
    int rc = db_.prepare("SELECT row, targets, length(body) FROM message ORDER BY row", select, false);
    if (rc != SQLITE_OK) return rc;
    core::QueueTarget target;
    while ((rc = select.step()) == SQLITE_ROW) {
        const core::RowId row = select.u64(0);
        out_.row_max = std::max(out_.row_max, row | 0xffff);
        if (const int bad = marks.load(db_, row >> 16); bad != SQLITE_OK) return bad;
        bool open = false;
        TargetsReader targets(row, select.blob(1));
        while (targets.next(target)) {
            auto* session = find_session(out_, target.session);
            if (!session || marks.settled(target.session, row) || !ledger_.open_row(target.session, row))
                continue;
            open = true;
            ++session->queue_messages;
            session->queue_bytes += select.u64(2);
            session->queue_shared |= static_cast<bool>(target.share);
        }
        if (targets.damaged()) {
            if (!open) findings_.rows_bad.push_back(row);
        } else if (!open) {
            findings_.rows_orphaned.push_back(row);
        }
        if (marks.any(chunk_of(row))) ledger_.note_marks(chunk_of(row));
    }
    return end_of(rc);
}

int Recovery::read_inflight() {
    Statement get;
    if (const int rc = db_.prepare("SELECT length(body) FROM message WHERE row=?", get, false);
        rc != SQLITE_OK)
        return rc;
    for (RecoveredSession& session : out_.sessions) {
        for (const core::InflightRecord& sent : session.progress.outbound) {
            if (!ledger_.is_open(session.record.key, sent.row)) continue;
            const ResetAtEnd reset(get);
            const int rc = get.bind(1, sent.row).step();
            if (rc != SQLITE_ROW) return end_of(rc);
            session.inflight_bytes += get.u64(0);
        }
    }
    return SQLITE_OK;
}

int Recovery::read_dead_chunks() {
    Statement select;
    int rc = db_.prepare("SELECT DISTINCT chunk FROM settled", select, false);
    if (rc != SQLITE_OK) return rc;
    while ((rc = select.step()) == SQLITE_ROW)
        if (!ledger_.chunk_in_use(select.u64(0))) findings_.chunks_dead.push_back(select.u64(0));
    return end_of(rc);
}

int Recovery::read_retained() {
    Statement select;
    int rc = db_.prepare("SELECT id, hash, crc, topic, body FROM retained", select, false);
    if (rc != SQLITE_OK) return rc;
    while ((rc = select.step()) == SQLITE_ROW) {
        const Bytes body = select.blob(4);
        auto message = core::Message::from_body(body);
        const std::uint64_t hash = select.u64(1);
        if (!message || select.u64(2) != crc32c_of(hash, body) || message->topic() != select.text(3) ||
            hash != stable_hash(message->topic()) >> 1) {
            findings_.retained_bad.push_back(select.u64(0));
        } else {
            out_.retained.push_back(std::move(message));
        }
    }
    return end_of(rc);
}

int Recovery::read_limits() {
    std::uint64_t rows = 0, keys = 0;
    int rc = db_.query("SELECT value FROM meta WHERE name='row_max'", rows);
    if (rc == SQLITE_OK) rc = db_.query("SELECT value FROM meta WHERE name='session_key_max'", keys);
    out_.row_max = std::max(out_.row_max, rows);
    out_.session_key_max = std::max(out_.session_key_max, keys);
    return rc;
}

}  // namespace sluice::store
