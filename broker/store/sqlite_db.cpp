#include "store/sqlite_db.hpp"

#include <cerrno>
#include <cstring>

namespace sluice::store {

std::string_view Statement::text(int column) const {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(get(), column));
    if (!data) return {};
    return {data, static_cast<std::size_t>(sqlite3_column_bytes(get(), column))};
}

Bytes Statement::blob(int column) const {
    const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(get(), column));
    if (!data) return {};
    return {data, static_cast<std::size_t>(sqlite3_column_bytes(get(), column))};
}

int SqliteDb::open(const std::string& path, Mode mode) {
    // One thread at a time uses a connection here, so SQLite's own locks are left out.
    const int flags =
        SQLITE_OPEN_NOMUTEX |
        (mode == Mode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    sqlite3* raw = nullptr;
    const int rc = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
    db_.reset(raw);
    if (rc != SQLITE_OK) return rc;
    sqlite3_extended_result_codes(raw, 1);
    sqlite3_busy_timeout(raw, 2000);  // somebody's `sqlite3` shell may hold a lock for a moment
    return mode == Mode::read_write_alone ? exec("PRAGMA locking_mode=EXCLUSIVE") : SQLITE_OK;
}

int SqliteDb::exec(const char* sql) {
    return sqlite3_exec(get(), sql, nullptr, nullptr, nullptr);
}

int SqliteDb::prepare(std::string_view sql, Statement& out, bool keep) {
    sqlite3_stmt* raw = nullptr;
    const int rc = sqlite3_prepare_v3(get(), sql.data(), static_cast<int>(sql.size()),
                                      keep ? SQLITE_PREPARE_PERSISTENT : 0, &raw, nullptr);
    out = Statement(raw);
    return rc;
}

int SqliteDb::query(std::string_view sql, std::uint64_t& out) {
    Statement statement;
    if (const int rc = prepare(sql, statement, false); rc != SQLITE_OK) return rc;
    const int rc = statement.step();
    if (rc == SQLITE_ROW) out = statement.u64(0);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int SqliteDb::query(std::string_view sql, std::string& out) {
    Statement statement;
    if (const int rc = prepare(sql, statement, false); rc != SQLITE_OK) return rc;
    const int rc = statement.step();
    if (rc == SQLITE_ROW) out = statement.text(0);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

std::string SqliteDb::error() const {
    const int last = errno;  // of the call that failed just now; SQLite keeps it only for some of its calls
    if (!db_) return "out of memory";
    std::string text = sqlite3_errmsg(get());
    const int primary = sqlite3_errcode(get()) & 0xff;
    const int kept = sqlite3_system_errno(get());
    const int system = kept != 0 ? kept : last;
    // The system's number may be an old one; it belongs to these errors only.
    if (system != 0 && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN || primary == SQLITE_FULL))
        text.append(": ").append(std::strerror(system));
    return text;
}

}  // namespace sluice::store
