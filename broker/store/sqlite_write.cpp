/// SqliteBackend: one group, one transaction, one fsync.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/hash.hpp"
#include "base/log.hpp"
#include "store/crc32c.hpp"
#include "store/sqlite_backend.hpp"
#include "store/sqlite_schema.hpp"

namespace sluice::store {
namespace {

/// The log is written back into the file when it has so many pages (4 MB): bounds it and the next start.
constexpr int checkpoint_pages = 1000;
/// A log of this size means that a reader keeps it from being reused.
constexpr int log_pages_alarm = 16 * checkpoint_pages;
constexpr std::uint64_t log_frame_bytes = page_bytes + 24;
/// Free pages are given back when they are many, and the larger half of the file.
constexpr std::uint64_t free_pages_min = 2048;
/// Of the reserve, when it is given up, the file may take so much.
constexpr std::uint64_t growth_pages = 512;

std::int64_t seconds_now() {
    using namespace std::chrono;
    return duration_cast<seconds>(steady_clock::now().time_since_epoch()).count();
}

std::uint64_t wall_ms() {
    return static_cast<std::uint64_t>(Now::read().wall.time_since_epoch().count());
}

/// Ids are promised never to be used again, also when the rows are gone. Written ahead in large steps, so
/// that most commits need not; the end of a block, so that after a restart each shard begins with a fresh
/// chunk.
constexpr core::RowId row_limit_above(core::RowId row) {
    return ((row >> 16) + 256) << 16 | 0xffff;
}
constexpr core::SessionKey key_limit_above(core::SessionKey key) {
    return (key >> 8 | 1023) << 8 | 255;
}

/// Quotas and limits of the process come as I/O errors.
constexpr bool refused_for_room(int rc) {
    return (rc & 0xff) == SQLITE_FULL || (rc & 0xff) == SQLITE_IOERR;
}

/// SQLite's integers have 63 bits.
std::uint64_t topic_key(std::string_view topic) {
    return stable_hash(topic) >> 1;
}

}  // namespace

IoReport SqliteBackend::write(const WriteGroup& group, const SettleLedger& ledger) {
    if (!db_) return {IoState::waits, path_ + " is not open"};
    keep_reserve();
    short_of_room_ = room_in_dir(settings_.data_dir) < settings_.disk.free_min / 2;
    int rc = attempt_within_limit(group, ledger);
    if (refused_for_room(rc) && reserve_there_ && (group.drains() || refused_by_system_ || short_of_room_)) {
        // The disk is full: that is what the reserve is for. First the log is written back, so that its place
        // can be used again. A part of it is for what has been posted already: among that is the client who
        // comes to drain its queue.
        give_up_reserve();
        db_.query("PRAGMA page_count", growth_limit_);
        growth_limit_ += growth_pages;
        checkpoint();
        rc = attempt_within_limit(group, ledger);
    } else if (refused_for_room(rc) && refused_by_system_) {
        // Without a reserve the log may have no more room than it takes already: written back, it begins
        // anew.
        checkpoint();
        rc = attempt_within_limit(group, ledger);
    }
    if (rc != SQLITE_OK) return report(rc, problem_);
    if (log_pages_ >= checkpoint_pages) checkpoint();
    return {};
}

int SqliteBackend::attempt_within_limit(const WriteGroup& group, const SettleLedger& ledger) {
    const int rc = set_page_limit(group.drains());
    if (rc == SQLITE_OK) return attempt(group, ledger);
    problem_ = db_.error();
    return rc;
}

int SqliteBackend::attempt(const WriteGroup& group, const SettleLedger& ledger) {
    const core::RowId row_limit = group.row_max > row_limit_ ? row_limit_above(group.row_max) : row_limit_;
    const core::SessionKey key_limit = group.session_key_max > session_key_limit_
                                           ? key_limit_above(group.session_key_max)
                                           : session_key_limit_;
    errno = 0;
    int rc = at(begin).run();
    if (rc == SQLITE_OK) rc = write_all(group, ledger);
    if (rc == SQLITE_OK && (row_limit != row_limit_ || key_limit != session_key_limit_))
        rc = write_limits(key_limit, row_limit);
    if (rc == SQLITE_OK) rc = at(commit).run();
    if (rc != SQLITE_OK) {
        refused_by_system_ = errno != 0;
        problem_ = db_.error();
        // SQLite may have rolled back by itself.
        if (sqlite3_get_autocommit(db_.get()) == 0) at(rollback).run();
        return rc;
    }
    row_limit_ = row_limit;
    session_key_limit_ = key_limit;
    note_logged(WriteCause::commit);
    return SQLITE_OK;
}

int SqliteBackend::write_all(const WriteGroup& group, const SettleLedger& ledger) {
    int rc = write_removals(group);
    if (rc == SQLITE_OK) rc = write_doomed(group);
    if (rc == SQLITE_OK) rc = write_sessions(group);
    if (rc == SQLITE_OK) rc = write_subscriptions(group);
    if (rc == SQLITE_OK) rc = write_progress(group);
    if (rc == SQLITE_OK) rc = write_marks(group, ledger);
    if (rc == SQLITE_OK) rc = write_messages(group, ledger);
    if (rc == SQLITE_OK) rc = write_arrivals(group);
    if (rc == SQLITE_OK) rc = write_retained(group);
    return rc;
}

int SqliteBackend::write_removals(const WriteGroup& group) {
    for (const core::SessionKey key : group.sessions_removed)
        for (const Prepared which : {session_delete, subscriptions_delete, progress_delete, arrivals_delete})
            if (const int rc = at(which).bind(1, key).run(); rc != SQLITE_OK) return rc;
    for (const core::RowId row : group.rows_settled)
        if (const int rc = at(message_delete).bind(1, row).run(); rc != SQLITE_OK) return rc;
    for (const core::RowId row : group.rows_quarantined) {
        if (const int rc = at(message_quarantine).bind(1, row).bind(2, wall_ms()).run(); rc != SQLITE_OK)
            return rc;
        if (const int rc = at(message_delete).bind(1, row).run(); rc != SQLITE_OK) return rc;
    }
    for (const auto& [publisher, id] : group.arrivals_forgotten)
        if (const int rc = at(arrivals_forget).bind(1, publisher).bind(2, std::uint64_t{id}).run();
            rc != SQLITE_OK)
            return rc;
    for (const ChunkKey chunk : group.chunks_dead)
        if (const int rc = at(marks_delete).bind(1, chunk).run(); rc != SQLITE_OK) return rc;
    return SQLITE_OK;
}

int SqliteBackend::write_doomed(const WriteGroup& group) {
    const std::size_t count = std::min(group.rows_doomed.size(), doomed_rows_max);
    for (std::size_t i = 0; i < count; ++i)
        if (const int rc = at(message_delete).bind(1, group.rows_doomed[i]).run(); rc != SQLITE_OK) return rc;
    return SQLITE_OK;
}

int SqliteBackend::write_sessions(const WriteGroup& group) {
    for (const auto& [key, record] : group.sessions) {
        Statement& put = at(session_put);
        put.bind(1, key).bind(2, std::uint64_t{checksum_of(record)});
        put.bind(3, std::string_view(record.client_id)).bind(4, std::string_view(record.user_name));
        put.bind(5, std::uint64_t{record.expiry_interval_s});
        if (record.disconnected_at)
            put.bind(6, static_cast<std::uint64_t>(record.disconnected_at->time_since_epoch().count()));
        if (record.will)
            put.bind(7, std::uint64_t{record.will->delay_s}).bind(8, record.will->message->body());
        if (const int rc = put.run(); rc != SQLITE_OK) return rc;
    }
    return SQLITE_OK;
}

int SqliteBackend::write_subscriptions(const WriteGroup& group) {
    for (const auto& [key, options] : group.subscriptions) {
        const auto& [session, filter] = key;
        int rc = SQLITE_OK;
        if (options) {
            const std::uint64_t sum = checksum_of(core::SaveSubscription{session, filter, *options});
            rc = at(subscription_put)
                     .bind(1, session)
                     .bind(2, std::string_view(filter))
                     .bind(3, sum)
                     .bind(4, std::uint64_t{encode_options(*options)})
                     .bind(5, std::uint64_t{options->identifier})
                     .run();
        } else {
            rc = at(subscription_delete).bind(1, session).bind(2, std::string_view(filter)).run();
        }
        if (rc != SQLITE_OK) return rc;
    }
    return SQLITE_OK;
}

int SqliteBackend::write_progress(const WriteGroup& group) {
    for (const auto& [session, progress] : group.progress) {
        int rc = SQLITE_OK;
        if (progress.outbound.empty() && progress.inbound_released.empty()) {
            rc = at(progress_delete).bind(1, session).run();
        } else {
            const ByteBuffer state = encode_progress(progress);
            rc = at(progress_put).bind(1, session).bind(2, Bytes(state)).run();
        }
        if (rc != SQLITE_OK) return rc;
    }
    return SQLITE_OK;
}

int SqliteBackend::write_marks(const WriteGroup& group, const SettleLedger& ledger) {
    for (const auto& [chunk, session] : group.marks) {
        if (!ledger.chunk_in_use(chunk) || !ledger.has_session(session)) continue;
        const auto mark = ledger.mark(chunk, session);
        std::array<std::uint8_t, chunk_rows / 8> open{};
        for (unsigned i = 0; i < chunk_rows; ++i)
            if (mark.open.test(i)) open[i / 8] = static_cast<std::uint8_t>(open[i / 8] | 1U << (i % 8));
        const Bytes blob = mark.open.none() ? Bytes{} : Bytes(open);
        const int rc = at(mark_put)
                           .bind(1, chunk)
                           .bind(2, session)
                           .bind(3, std::uint64_t{mark.covered})
                           .bind(4, blob)
                           .run();
        if (rc != SQLITE_OK) return rc;
    }
    return SQLITE_OK;
}

int SqliteBackend::write_messages(const WriteGroup& group, const SettleLedger& ledger) {
    for (const auto& [row, append] : group.appends) {
        targets_.start();
        for (const auto& target : append.targets)
            if (ledger.is_open(target.session, row)) targets_.add(target);
        const Bytes body = append.message->body();
        const int rc = at(message_put)
                           .bind(1, row)
                           .bind(2, std::uint64_t{crc32c_of(row, body)})
                           .bind(3, targets_.finish(row))
                           .bind(4, body)
                           .run();
        if (rc != SQLITE_OK) return rc;
    }
    return SQLITE_OK;
}

int SqliteBackend::write_arrivals(const WriteGroup& group) {
    for (const auto& [key, notes] : group.arrivals) {
        for (const core::NoteArrival& note : notes) {
            const ByteBuffer receivers = encode_arrival(note);
            Statement& put = at(arrival_put);
            put.bind(1, note.publisher).bind(2, std::uint64_t{note.packet_id}).bind(3, note.row);
            if (const int rc = put.bind(4, Bytes(receivers)).run(); rc != SQLITE_OK) return rc;
        }
    }
    return SQLITE_OK;
}

int SqliteBackend::find_retained(const std::string& topic, std::uint64_t& id) {
    id = 0;
    Statement& find = at(retained_find);
    const ResetAtEnd reset(find);
    find.bind(1, topic_key(topic));
    int rc = SQLITE_OK;
    while ((rc = find.step()) == SQLITE_ROW) {
        if (find.text(1) != topic) continue;
        id = find.u64(0);
        return SQLITE_OK;
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int SqliteBackend::write_retained(const WriteGroup& group) {
    for (const auto& [topic, message] : group.retained) {
        std::uint64_t id = 0;
        if (const int rc = find_retained(topic, id); rc != SQLITE_OK) return rc;
        if (!message && id == 0) continue;
        const std::uint64_t key = topic_key(topic);
        const Bytes body = message ? message->body() : Bytes{};
        const std::uint64_t sum = crc32c_of(key, body);
        int rc = SQLITE_OK;
        if (!message) {
            rc = at(retained_delete).bind(1, id).run();
        } else if (id != 0) {
            rc = at(retained_update).bind(1, sum).bind(2, body).bind(3, id).run();
        } else {
            rc = at(retained_insert)
                     .bind(1, key)
                     .bind(2, sum)
                     .bind(3, std::string_view(topic))
                     .bind(4, body)
                     .run();
        }
        if (rc != SQLITE_OK) return rc;
    }
    return SQLITE_OK;
}

int SqliteBackend::write_limits(core::SessionKey key_limit, core::RowId row_limit) {
    int rc = at(meta_put).bind(1, std::string_view("session_key_max")).bind(2, key_limit).run();
    if (rc == SQLITE_OK) rc = at(meta_put).bind(1, std::string_view("row_max")).bind(2, row_limit).run();
    return rc;
}

/// Inline: no other thread, no other connection. Nobody reads while we are here, so it always reaches the end
/// and the log begins anew.
void SqliteBackend::checkpoint() {
    static log::RateLimit limit(60000);
    int in_log = 0, done = 0;
    const int rc = sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &in_log, &done);
    std::uint64_t suppressed = 0;
    if ((rc != SQLITE_OK || log_pages_ > log_pages_alarm) && limit.allow(seconds_now() * 1000, suppressed))
        log::warn(fmt::format("store: the log cannot be written back into the file pages={}: {}", log_pages_,
                              rc != SQLITE_OK ? db_.error() : "another program reads it"));
    db_.query("PRAGMA page_count", pages_);
    if (rc != SQLITE_OK) return;
    // A page that stands in the log more than once is written back once; the file's size is the other bound.
    const auto pages = std::min(static_cast<std::uint64_t>(std::max(done, 0)), pages_);
    note_written(WriteCause::checkpoint, pages * page_bytes, 2);
    give_back_pages();
}

void SqliteBackend::give_back_pages() {
    std::uint64_t free = 0;
    if (db_.query("PRAGMA freelist_count", free) != SQLITE_OK || free < free_pages_min || free < pages_ / 2)
        return;
    if (db_.exec("PRAGMA incremental_vacuum(1024)") == SQLITE_OK) note_logged(WriteCause::shrink);
    db_.query("PRAGMA page_count", pages_);
}

void SqliteBackend::note_written(WriteCause cause, std::uint64_t bytes, std::uint64_t fsyncs) {
    Written& written = written_[static_cast<std::size_t>(cause)];
    written.bytes += bytes;
    written.fsyncs += fsyncs;
}

/// Estimated from the log: each commit appends whole frames and syncs once. The log begins anew after a
/// checkpoint, then it is shorter than it was.
void SqliteBackend::note_logged(WriteCause cause) {
    const int from = log_pages_ >= log_pages_seen_ ? log_pages_seen_ : 0;
    note_written(cause, static_cast<std::uint64_t>(log_pages_ - from) * log_frame_bytes, 1);
    log_pages_seen_ = log_pages_;
}

}  // namespace sluice::store
