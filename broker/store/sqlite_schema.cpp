#include "store/sqlite_schema.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

namespace sluice::store {
namespace {

// Each step brings the tables from the version of its index to the next. Never change one that was released.
//
// message: a body once, with all its receivers; `row` is the order of arrival on its shard.
// settled: for rows that several sessions share: of the first `covered` rows of a chunk, those that are not
// in
//   `open` are settled for this session (256 bits, least first; empty: none open). Written only while such a
//   row still waits for somebody else.
// retained: an integer key, because a text key as the table's order rewrites a random page for each topic;
// the
//   hash finds the key.
// arrival: who has a QoS 2 message whose packet id is in no `progress` yet; `publisher` is a session.
// damaged: rows whose checksum did not hold, kept for whoever wants to look; at most a thousand.
constexpr std::array<const char*, schema_version> steps = {
    R"(
CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE session(key INTEGER PRIMARY KEY, crc INTEGER NOT NULL, client_id TEXT NOT NULL, user_name TEXT NOT NULL,
    expiry_interval_s INTEGER NOT NULL, disconnected_at_ms INTEGER, will_delay_s INTEGER, will BLOB);
CREATE TABLE subscription(session INTEGER NOT NULL, filter TEXT NOT NULL, crc INTEGER NOT NULL,
    options INTEGER NOT NULL, identifier INTEGER NOT NULL, PRIMARY KEY(session, filter)) WITHOUT ROWID;
CREATE TABLE progress(session INTEGER PRIMARY KEY, state BLOB NOT NULL);
CREATE TABLE message(row INTEGER PRIMARY KEY, crc INTEGER NOT NULL, targets BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE settled(chunk INTEGER NOT NULL, session INTEGER NOT NULL, covered INTEGER NOT NULL, open BLOB NOT NULL,
    PRIMARY KEY(chunk, session)) WITHOUT ROWID;
CREATE TABLE retained(id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, crc INTEGER NOT NULL, topic TEXT NOT NULL,
    body BLOB NOT NULL);
CREATE INDEX retained_hash ON retained(hash);
CREATE TABLE damaged(found_at_ms INTEGER NOT NULL, row INTEGER NOT NULL, crc INTEGER, targets BLOB, body BLOB);
)",
    R"(
CREATE TABLE arrival(publisher INTEGER NOT NULL, packet_id INTEGER NOT NULL, row INTEGER NOT NULL,
    receivers BLOB NOT NULL, PRIMARY KEY(publisher, packet_id, row)) WITHOUT ROWID;
)"};

/// A version further off than this is a flipped bit in the header rather than a later Sluice.
constexpr std::uint64_t later_versions_max = 1000;

int set_up(SqliteDb& db) {
    std::uint64_t version = 0;
    if (const int rc = db.query("PRAGMA user_version", version); rc != SQLITE_OK) return rc;
    // These act on a fresh file only; on another one auto_vacuum would write a page for nothing, which a full
    // disk does not allow.
    if (version == 0)
        if (const int rc = db.exec("PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL"); rc != SQLITE_OK)
            return rc;
    return db.exec(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=OFF; PRAGMA cache_size=-1024;"
        "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=0;"
        "PRAGMA journal_size_limit=8388608; PRAGMA trusted_schema=OFF");
}

int migrate(SqliteDb& db) {
    std::uint64_t version = 0;
    if (const int rc = db.query("PRAGMA user_version", version); rc != SQLITE_OK) return rc;
    if (version == schema_version) return SQLITE_OK;
    std::string sql = "BEGIN IMMEDIATE;";
    for (; version < schema_version; ++version) sql += steps[version];
    sql += fmt::format("PRAGMA application_id={}; PRAGMA user_version={}; COMMIT", application_id,
                       schema_version);
    const int rc = db.exec(sql.c_str());
    if (rc != SQLITE_OK) db.exec("ROLLBACK");
    return rc;
}

FileCheck unreadable(const SqliteDb& db, int rc) {
    return {is_damage(rc) ? FileKind::damaged : FileKind::unreadable, db.error()};
}

/// A look at a file makes an empty log beside it; a file that is refused is left as it was found.
void leave_no_trace(const std::string& path, bool log_was_there) {
    struct stat info {};
    if (log_was_there || ::stat((path + "-wal").c_str(), &info) != 0 || info.st_size != 0) return;
    ::unlink((path + "-wal").c_str());
    ::unlink((path + "-shm").c_str());
}

}  // namespace

FileCheck check_file(const std::string& path, bool alone) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0 || info.st_size == 0) return {};
    const bool log_was_there = ::stat((path + "-wal").c_str(), &info) == 0;
    SqliteDb db;
    std::uint64_t version = 0, id = 0, tables = 0;
    int rc = db.open(path, alone ? SqliteDb::Mode::read_write_alone : SqliteDb::Mode::read_only);
    if (rc == SQLITE_OK) sqlite3_db_config(db.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    if (rc == SQLITE_OK) rc = db.query("PRAGMA user_version", version);
    if (rc == SQLITE_OK) rc = db.query("PRAGMA application_id", id);
    if (rc == SQLITE_OK) rc = db.query("SELECT count(*) FROM sqlite_schema", tables);
    if (rc != SQLITE_OK) return unreadable(db, rc);
    const bool blank = tables == 0 && version == 0 && id == 0;
    if (blank) return {};
    if (id != application_id || version == 0 || version > schema_version + later_versions_max)
        return {FileKind::damaged, "the header is not that of a store"};
    if (version > schema_version) {
        db.close();
        leave_no_trace(path, log_was_there);
        return {FileKind::newer, std::to_string(version)};
    }
    std::string verdict;
    rc = db.query("PRAGMA quick_check(1)", verdict);
    if (rc != SQLITE_OK) return unreadable(db, rc);
    if (verdict != "ok") return {FileKind::damaged, verdict};
    return {FileKind::ours, {}};
}

int open_for_writing(const std::string& path, SqliteDb& db, bool alone) {
    // Messages are nobody else's business; SQLite gives its log the same mode.
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) ::close(fd);
    int rc = db.open(path, alone ? SqliteDb::Mode::read_write_alone : SqliteDb::Mode::read_write);
    if (rc == SQLITE_OK) rc = set_up(db);
    if (rc == SQLITE_OK) rc = migrate(db);
    return rc;
}

}  // namespace sluice::store
