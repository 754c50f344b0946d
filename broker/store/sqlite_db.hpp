#pragma once
/// A thin owner over the C API of SQLite: connections and prepared statements close themselves, values are
/// bound and read by type. Errors stay SQLite's result codes.
#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace sluice::store {

/// One prepared statement. Text and blobs are bound without a copy: they must live until the step is done.
class Statement {
  public:
    Statement() = default;
    explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

    explicit operator bool() const { return statement_ != nullptr; }
    sqlite3_stmt* get() const { return statement_.get(); }

    Statement& bind(int at, std::uint64_t v) {
        sqlite3_bind_int64(get(), at, static_cast<sqlite3_int64>(v));
        return *this;
    }
    Statement& bind(int at, std::string_view text) {
        // A null pointer would bind NULL; empty text is not NULL.
        sqlite3_bind_text(get(), at, text.data() ? text.data() : "", static_cast<int>(text.size()),
                          SQLITE_STATIC);
        return *this;
    }
    Statement& bind(int at, Bytes blob) {
        sqlite3_bind_blob64(get(), at, blob.data() ? blob.data() : reinterpret_cast<const std::uint8_t*>(""),
                            blob.size(), SQLITE_STATIC);
        return *this;
    }
    Statement& bind_null(int at) {
        sqlite3_bind_null(get(), at);
        return *this;
    }

    /// SQLITE_ROW, SQLITE_DONE or an error.
    int step() { return sqlite3_step(get()); }
    /// For a statement without rows: steps once and makes it ready again. SQLITE_OK or an error.
    int run() {
        const int rc = step();
        reset();
        return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
    }
    void reset() {
        sqlite3_reset(get());
        sqlite3_clear_bindings(get());
    }

    std::uint64_t u64(int column) const {
        return static_cast<std::uint64_t>(sqlite3_column_int64(get(), column));
    }
    bool is_null(int column) const { return sqlite3_column_type(get(), column) == SQLITE_NULL; }
    /// Views into the row: gone with the next step or reset.
    std::string_view text(int column) const;
    Bytes blob(int column) const;

  private:
    struct Finalize {
        void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
    };
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// Makes a statement ready again when its reader leaves, however it leaves: an unfinished read would keep the
/// checkpoint from reusing the log.
class ResetAtEnd {
  public:
    explicit ResetAtEnd(Statement& statement) : statement_(statement) {}
    ~ResetAtEnd() { statement_.reset(); }
    ResetAtEnd(const ResetAtEnd&) = delete;
    ResetAtEnd& operator=(const ResetAtEnd&) = delete;

  private:
    Statement& statement_;
};

class SqliteDb {
  public:
    enum class Mode : std::uint8_t {
        read_only,
        read_write,
        /// Without the index file that a log needs when several programs look at it: the way in when the disk
        /// has not even room for that.
        read_write_alone,
    };

    explicit operator bool() const { return db_ != nullptr; }
    sqlite3* get() const { return db_.get(); }

    int open(const std::string& path, Mode mode);
    void close() { db_.reset(); }
    int exec(const char* sql);
    /// `keep`: will be used for as long as the connection lives.
    int prepare(std::string_view sql, Statement& out, bool keep = true);
    /// The first column of the first row of a pragma or query.
    int query(std::string_view sql, std::uint64_t& out);
    int query(std::string_view sql, std::string& out);
    /// SQLite's words for the last error, with the system's when it has some.
    std::string error() const;

  private:
    struct Close {
        void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
    };
    std::unique_ptr<sqlite3, Close> db_;
};

/// The file contradicts itself, which no waiting mends.
constexpr bool is_damage(int rc) {
    return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB || rc == SQLITE_IOERR_SHORT_READ ||
           rc == SQLITE_IOERR_READ || rc == SQLITE_IOERR_DATA || rc == SQLITE_IOERR_CORRUPTFS;
}

}  // namespace sluice::store
