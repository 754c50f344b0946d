#include "store/sqlite_backend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/log.hpp"
#include "store/crc32c.hpp"
#include "store/log_check.hpp"
#include "store/queued_store.hpp"
#include "store/salvage.hpp"
#include "store/sqlite_schema.hpp"

namespace sluice::store {
namespace {

/// Below this the reserve is given up at the start, below the second SQLite cannot make its index file.
constexpr std::uint64_t room_wanted_bytes = 1 << 20, room_needed_bytes = 64 << 10;

constexpr const char* statements[] = {
    "BEGIN IMMEDIATE",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "INSERT OR REPLACE INTO session(key, crc, client_id, user_name, expiry_interval_s, disconnected_at_ms, "
    "will_delay_s, will) VALUES(?,?,?,?,?,?,?,?)",
    "DELETE FROM session WHERE key=?",
    "INSERT OR REPLACE INTO subscription(session, filter, crc, options, identifier) VALUES(?,?,?,?,?)",
    "DELETE FROM subscription WHERE session=? AND filter=?",
    "DELETE FROM subscription WHERE session=?",
    "INSERT OR REPLACE INTO progress(session, state) VALUES(?,?)",
    "DELETE FROM progress WHERE session=?",
    "INSERT OR REPLACE INTO message(row, crc, targets, body) VALUES(?,?,?,?)",
    "DELETE FROM message WHERE row=?",
    "SELECT crc, targets, body FROM message WHERE row=?",
    "SELECT length(body) FROM message WHERE row=?",
    "INSERT INTO damaged(found_at_ms, row, crc, targets, body) SELECT ?2, row, crc, targets, body FROM "
    "message "
    "WHERE row=?1 AND (SELECT count(*) FROM damaged) < 1000",
    "INSERT OR REPLACE INTO settled(chunk, session, covered, open) VALUES(?,?,?,?)",
    "DELETE FROM settled WHERE chunk=?",
    "INSERT OR REPLACE INTO arrival(publisher, packet_id, row, receivers) VALUES(?,?,?,?)",
    "DELETE FROM arrival WHERE publisher=? AND packet_id=?",
    "DELETE FROM arrival WHERE publisher=?",
    "SELECT id, topic FROM retained WHERE hash=?",
    "INSERT INTO retained(hash, crc, topic, body) VALUES(?,?,?,?)",
    "UPDATE retained SET crc=?, body=? WHERE id=?",
    "DELETE FROM retained WHERE id=?",
    "INSERT OR REPLACE INTO meta(name, value) VALUES(?,?)",
};

}  // namespace

SqliteBackend::SqliteBackend(StoreSettings settings)
    : settings_(std::move(settings)), path_(path_in_dir(store_name)) {
    static_assert(std::size(statements) == prepared_count);
}

SqliteBackend::~SqliteBackend() {
    close();
}

Result<Recovered, std::string> SqliteBackend::open(SettleLedger& ledger) {
    auto lock = take_data_dir(settings_.data_dir);
    if (!lock) return Err{lock.error()};
    lock_ = std::move(lock).value();
    make_room_to_open();
    Recovered out;
    look_at_log(out.damage);
    if (auto opened = open_file(out.damage); !opened) return Err{opened.error()};
    ledger = SettleLedger{};
    int rc = recover(ledger, out);
    if (is_damage(rc)) {
        // The quick check saw nothing, a read did.
        std::vector<std::string> damage = std::move(out.damage);
        if (auto replaced = replace_damaged(db_.error(), damage); !replaced) return Err{replaced.error()};
        ledger = SettleLedger{};
        out = Recovered{};
        out.damage = std::move(damage);
        rc = recover(ledger, out);
    }
    if (rc != SQLITE_OK) return Err{fmt::format("{} cannot be read: {}", path_, db_.error())};
    for (const auto& line : out.damage) log::error("store: " + line);
    // Brings what a crash left in the log into the file while there is room for it.
    checkpoint();
    keep_reserve();
    return out;
}

/// SQLite goes by what holds and begins the log anew: the rest would be gone without a word.
void SqliteBackend::look_at_log(std::vector<std::string>& damage) const {
    const std::string log = path_ + "-wal";
    const std::string lost = describe(check_log(log), log);
    if (lost.empty()) return;
    const std::string aside = log + ".damaged";
    std::error_code code;
    std::filesystem::copy_file(log, aside, std::filesystem::copy_options::overwrite_existing, code);
    const std::string kept =
        code ? "it could not be copied: " + code.message() : "a copy was set aside as " + aside;
    damage.push_back(lost + ", " + kept);
}

/// A full disk must not keep the broker from starting: what is stored can still be read and delivered.
void SqliteBackend::make_room_to_open() {
    if (room_in_dir(settings_.data_dir) >= room_wanted_bytes) return;
    give_up_reserve();
    alone_ = room_in_dir(settings_.data_dir) < room_needed_bytes;
    if (alone_)
        log::warn(
            fmt::format("store: no room is left for {}; it is opened as it is, and until the next start no "
                        "other program can look into it",
                        path_));
}

Result<void, std::string> SqliteBackend::open_file(std::vector<std::string>& damage) {
    const FileCheck check = check_file(path_, alone_);
    switch (check.kind) {
        case FileKind::newer:
            return Err{
                fmt::format("{} was written by a newer Sluice (its schema is {}, this one knows up to {}); "
                            "install that version again, or move the file away",
                            path_, check.reason, schema_version)};
        case FileKind::unreadable:
            return Err{fmt::format("{} cannot be opened: {}", path_, check.reason)};
        case FileKind::damaged:
            return replace_damaged(check.reason, damage);
        case FileKind::fresh:
        case FileKind::ours:
            break;
    }
    const int rc = connect();
    if (is_damage(rc)) return replace_damaged(db_.error(), damage);
    if (rc != SQLITE_OK) return Err{fmt::format("{} cannot be opened: {}", path_, db_.error())};
    return {};
}

Result<void, std::string> SqliteBackend::replace_damaged(const std::string& reason,
                                                         std::vector<std::string>& damage) {
    std::string why = reason;  // a copy: it may be the words of the connection that is closed here
    std::replace(why.begin(), why.end(), '\n', ' ');
    for (auto& statement : prepared_) statement = {};
    // Closing would write the log back into the damaged file: what is set aside stays as it was found.
    if (db_) sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    db_.close();
    auto aside = set_aside(path_);
    if (!aside) return Err{aside.error()};
    damage.push_back(fmt::format("{} was damaged ({}); it was set aside as {}", path_, why, *aside));
    if (const int rc = connect(); rc != SQLITE_OK)
        return Err{fmt::format("{} cannot be made anew: {}", path_, db_.error())};
    damage.push_back(salvage(*aside, db_));
    return {};
}

int SqliteBackend::connect() {
    log_pages_ = log_pages_seen_ = 0;
    page_limit_ = 0;
    if (const int rc = open_for_writing(path_, db_, alone_); rc != SQLITE_OK) return rc;
    sqlite3_wal_hook(
        db_.get(),
        [](void* self, sqlite3*, const char*, int pages) {
            static_cast<SqliteBackend*>(self)->log_pages_ = pages;
            return SQLITE_OK;
        },
        this);
    return prepare_all();
}

int SqliteBackend::prepare_all() {
    for (std::size_t i = 0; i < prepared_count; ++i)
        if (const int rc = db_.prepare(statements[i], prepared_[i]); rc != SQLITE_OK) return rc;
    return SQLITE_OK;
}

void SqliteBackend::close() {
    for (auto& statement : prepared_) statement = {};
    db_.close();  // writes the log back and removes it
    lock_ = DirLock{};
}

/// Turns a result code into what the thread above does about it.
IoReport SqliteBackend::report(int rc, const std::string& words) {
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW) return {};
    if (is_damage(rc)) return {IoState::damaged, fmt::format("{} is damaged: {}", path_, words)};
    const bool at_limit = (rc & 0xff) == SQLITE_FULL && !refused_by_system_;
    if (at_limit && short_of_room_)
        return {
            IoState::waits,
            fmt::format("{} cannot grow: less than {} bytes are free on its disk (half of store.free_min); "
                        "acknowledgements wait",
                        path_, settings_.disk.free_min / 2)};
    if (at_limit && !reserve_missing())
        return {IoState::waits,
                fmt::format("{} has reached its limit of {} bytes (store.bytes_max); acknowledgements "
                            "wait until queues are drained",
                            path_, settings_.disk.bytes_max)};
    if (at_limit)
        return {IoState::waits,
                fmt::format(
                    "{} cannot grow: the disk has no room for its reserve of {} bytes; acknowledgements wait",
                    path_, settings_.reserve_bytes)};
    return {IoState::waits, fmt::format("{} cannot be written: {}; acknowledgements wait", path_, words)};
}

/// Without a transaction around them each read takes and leaves the locks of the file: two fcntl() apiece. If
/// it cannot be begun they do so.
void SqliteBackend::begin_reads() {
    if (db_) at(begin_to_read).run();
}

/// After repair() the connection is another one, without a transaction.
void SqliteBackend::end_reads() {
    if (!db_ || sqlite3_get_autocommit(db_.get()) != 0) return;
    if (at(commit).run() != SQLITE_OK) at(rollback).run();  // left open it would be in the way of every write
}

IoReport SqliteBackend::read(core::RowId row, core::SessionKey session, core::QueueEntry& entry) {
    Statement& get = at(message_get);
    const ResetAtEnd reset(get);
    const int rc = get.bind(1, row).step();
    if (rc == SQLITE_DONE) return {IoState::missing, "the row is not in the file"};
    if (rc != SQLITE_ROW) return report(rc);
    const Bytes body = get.blob(2);
    if (get.u64(0) != crc32c_of(row, body))
        return {IoState::missing, "the checksum of the body does not hold"};
    TargetsReader targets(row, get.blob(1));
    core::QueueTarget target;
    while (targets.next(target)) {
        if (target.session != session) continue;
        entry = {row,
                 core::Message::from_body(body),
                 target.qos,
                 target.retain,
                 std::move(target.subscription_identifiers),
                 std::move(target.share)};
        if (!entry.message) return {IoState::missing, "the body is not a message"};
        return {};
    }
    return {IoState::missing,
            targets.damaged() ? "the checksum of the targets does not hold" : "not for this session"};
}

IoReport SqliteBackend::read_size(core::RowId row, std::size_t& bytes) {
    Statement& get = at(message_size);
    const ResetAtEnd reset(get);
    const int rc = get.bind(1, row).step();
    if (rc == SQLITE_DONE) return {IoState::missing, "the row is not in the file"};
    if (rc != SQLITE_ROW) return report(rc);
    bytes = get.u64(0);
    return {};
}

IoReport SqliteBackend::repair() {
    std::vector<std::string> damage;
    const auto replaced = replace_damaged(db_.error(), damage);
    for (const auto& line : damage) log::error("store: " + line);
    if (!replaced) return {IoState::waits, replaced.error()};
    read_id();
    return report(write_limits(session_key_limit_, row_limit_));
}

void SqliteBackend::add_stats(StoreStats& stats) const {
    stats.written = written_;
    stats.file_bytes = pages_ * page_bytes;
    stats.file_bytes_max = settings_.disk.bytes_max;
    stats.disk_free_min = settings_.disk.free_min;
    stats.disk_free = room_in_dir(settings_.data_dir);
}

std::unique_ptr<Store> make_sqlite_store(StoreSettings settings) {
    auto backend = std::make_unique<SqliteBackend>(settings);
    return std::make_unique<QueuedStore>(std::move(settings), std::move(backend));
}

std::unique_ptr<Store> make_store(StoreSettings settings) {
    if (settings.durability.mode == DurabilityMode::memory) return make_memory_store();
    return make_sqlite_store(std::move(settings));
}

}  // namespace sluice::store
