#include "store/salvage.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <memory>
#include <vector>

#include "store/data_dir.hpp"
#include "store/sqlite_schema.hpp"

namespace sluice::store {
namespace {

/// Damaged files kept beside the store; older ones are deleted, so that a failing disk does not fill itself.
constexpr std::size_t damaged_files_max = 3;
/// Seeks past unreadable places per table.
constexpr int seeks_max = 4096;

struct Table {
    const char* name;
    const char* columns;
    const char* order;
    const char* integer_key;  ///< lets us seek past a bad page; null: read from both ends only
    std::uint64_t since = 1;  ///< the version of the schema that has it first
};

constexpr std::array tables = {
    Table{"meta", "name, value", "name", nullptr},
    Table{"session",
          "key, crc, client_id, user_name, expiry_interval_s, disconnected_at_ms, will_delay_s, will", "key",
          "key"},
    Table{"subscription", "session, filter, crc, options, identifier", "session, filter", nullptr},
    Table{"progress", "session, state", "session", "session"},
    Table{"message", "row, crc, targets, body", "row", "row"},
    Table{"settled", "chunk, session, covered, open", "chunk, session", nullptr},
    Table{"arrival", "publisher, packet_id, row, receivers", "publisher, packet_id, row", nullptr, 2},
    Table{"retained", "id, hash, crc, topic, body", "id", "id"},
    Table{"damaged", "rowid, found_at_ms, row, crc, targets, body", "rowid", "rowid"},
};

std::string time_text() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
    return text;
}

bool rename_if_there(const std::string& from, const std::string& to, std::string& problem) {
    std::error_code code;
    if (!std::filesystem::exists(from, code)) return true;
    std::filesystem::rename(from, to, code);
    if (code) problem = fmt::format("{} cannot be set aside: {}", from, code.message());
    return !code;
}

void forget_oldest(const std::string& path) {
    const std::filesystem::path file(path);
    const std::string prefix = file.filename().string() + ".damaged-";
    std::vector<std::string> found;
    std::error_code code;
    for (const auto& entry : std::filesystem::directory_iterator(file.parent_path(), code)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with(prefix) && !name.ends_with("-wal") && !name.ends_with("-shm"))
            found.push_back(entry.path().string());
    }
    std::sort(found.begin(), found.end(), std::greater<>());
    for (std::size_t i = damaged_files_max; i < found.size(); ++i)
        for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(found[i] + suffix, code);
}

/// Copies one table from a file that lies.
class TableCopy {
  public:
    TableCopy(SqliteDb& from, SqliteDb& to, const Table& table) : from_(from), to_(to), table_(table) {
        columns_ =
            static_cast<int>(std::count(table.columns, table.columns + std::strlen(table.columns), ',')) + 1;
        std::string marks = "?";
        for (int i = 1; i < columns_; ++i) marks += ",?";
        to_.prepare(fmt::format("INSERT OR IGNORE INTO {}({}) VALUES({})", table.name, table.columns, marks),
                    insert_);
    }

    void run() {
        if (!insert_ || (table_.integer_key ? copy_by_seeking() : copy(false, 0))) return;
        whole_ = false;
        copy(true, 0);
    }

    std::uint64_t rows() const { return rows_; }
    std::string report() const {
        return fmt::format("{} {}{}", rows_, table_.name, whole_ ? "" : " (others could not be read)");
    }

  private:
    /// From one end until the end or the first error; true at the end.
    bool copy(bool backwards, std::uint64_t from_key) {
        std::string sql = fmt::format("SELECT {} FROM {}", table_.columns, table_.name);
        if (table_.integer_key) sql += fmt::format(" WHERE {} >= {}", table_.integer_key, from_key);
        sql += fmt::format(" ORDER BY {}", table_.order);
        if (backwards) {
            // "a, b" becomes "a DESC, b DESC"
            const auto comma = sql.rfind(table_.order);
            std::string order = table_.order;
            for (std::size_t at = 0; (at = order.find(',', at)) != std::string::npos; at += 6)
                order.replace(at, 1, " DESC,");
            sql.replace(comma, std::string::npos, order + " DESC");
        }
        Statement select;
        if (from_.prepare(sql, select, false) != SQLITE_OK) return false;
        int rc = SQLITE_OK;
        while ((rc = select.step()) == SQLITE_ROW) take(select);
        return rc == SQLITE_DONE;
    }

    void take(Statement& select) {
        for (int i = 0; i < columns_; ++i)
            sqlite3_bind_value(insert_.get(), i + 1, sqlite3_column_value(select.get(), i));
        if (insert_.run() == SQLITE_OK) rows_ += static_cast<std::uint64_t>(sqlite3_changes(to_.get()));
        if (table_.integer_key) next_key_ = std::max(next_key_, select.u64(0) + 1);
    }

    /// After an error looks further on, in growing steps, so that one bad page costs little more than itself.
    bool copy_by_seeking() {
        if (copy(false, 0)) return true;
        whole_ = false;
        std::uint64_t step = 1, seek = next_key_;
        for (int i = 0; i < seeks_max && seek < (std::uint64_t{1} << 62); ++i) {
            const std::uint64_t before = rows_;
            if (copy(false, seek)) return false;
            step = rows_ > before ? 1 : step * 2;
            seek = rows_ > before ? next_key_ : seek + step;
        }
        return false;
    }

    SqliteDb& from_;
    SqliteDb& to_;
    const Table& table_;
    Statement insert_;
    int columns_ = 0;
    std::uint64_t rows_ = 0, next_key_ = 0;
    bool whole_ = true;
};

/// What all of a file hangs from is its first page, which each version of the schema has alike: the tables
/// stand first in a file that can shrink (auto_vacuum), in the order in which they were made. Where it is
/// damaged, the file is read with that of a fresh one. Then it gets its own back: it stays as it was found.
class BorrowedFirstPage {
  public:
    BorrowedFirstPage() = default;
    ~BorrowedFirstPage() {
        if (fd_ < 0) return;
        if (!own_.empty() && ::pwrite(fd_, own_.data(), own_.size(), 0) < 0) errno = 0;
        ::close(fd_);
    }
    BorrowedFirstPage(const BorrowedFirstPage&) = delete;
    BorrowedFirstPage& operator=(const BorrowedFirstPage&) = delete;

    bool lend(const std::string& path, SqliteDb& fresh) {
        sqlite3_int64 fresh_bytes = 0;
        const std::unique_ptr<unsigned char, decltype(&sqlite3_free)> image(
            sqlite3_serialize(fresh.get(), "main", &fresh_bytes, 0), &sqlite3_free);
        if (!image || fresh_bytes < static_cast<sqlite3_int64>(page_bytes)) return false;
        std::vector<unsigned char> page(image.get(), image.get() + page_bytes);
        fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        struct stat info {};
        if (fd_ < 0 || ::fstat(fd_, &info) != 0 || info.st_size <= static_cast<off_t>(page_bytes))
            return false;
        std::vector<unsigned char> own(page_bytes);
        if (::pread(fd_, own.data(), own.size(), 0) != static_cast<ssize_t>(page_bytes)) return false;
        own_ = std::move(own);
        // The file's length in pages, and that it is to be believed: "version-valid-for" is the change
        // counter.
        const auto pages = static_cast<std::uint64_t>(info.st_size) / page_bytes;
        for (std::size_t i = 0; i < 4; ++i) {
            page[28 + i] = static_cast<unsigned char>(pages >> (24 - 8 * i));
            page[92 + i] = page[24 + i];
        }
        return ::pwrite(fd_, page.data(), page.size(), 0) == static_cast<ssize_t>(page_bytes);
    }

  private:
    int fd_ = -1;
    std::vector<unsigned char> own_;
};

int open_damaged(const std::string& path, SqliteDb& damaged, std::uint64_t& tables_seen) {
    int rc = damaged.open(path, SqliteDb::Mode::read_only);
    // Else a file that is shorter than it says is refused as a whole.
    if (rc == SQLITE_OK) rc = damaged.exec("PRAGMA writable_schema=ON");
    if (rc == SQLITE_OK) rc = damaged.query("SELECT count(*) FROM sqlite_schema", tables_seen);
    return rc;
}

}  // namespace

Result<std::string, std::string> set_aside(const std::string& path, Aside why) {
    const std::string base =
        fmt::format("{}.{}-{}", path, why == Aside::damaged ? "damaged" : "replaced", time_text());
    std::string to = base;
    std::error_code code;
    for (int i = 1; std::filesystem::exists(to, code); ++i) to = fmt::format("{}-{}", base, i);
    std::string problem;
    // The log goes first: should we stop in between, the file without its log is older, not mixed.
    if (!rename_if_there(path + "-wal", to + "-wal", problem) || !rename_if_there(path, to, problem))
        return Err{problem};
    std::filesystem::remove(path + "-shm", code);
    sync_dir(std::filesystem::path(path).parent_path().string());
    if (why == Aside::damaged) forget_oldest(path);
    return to;
}

std::string salvage(const std::string& damaged_path, SqliteDb& fresh) {
    /// Reading makes this file beside the one that was set aside; it says nothing.
    struct RemoveIndex {
        std::string path;
        ~RemoveIndex() { std::remove(path.c_str()); }
    } const remove_index{damaged_path + "-shm"};
    BorrowedFirstPage first_page;
    SqliteDb damaged;
    std::uint64_t tables_seen = 0, rows = 0;
    const int rc = open_damaged(damaged_path, damaged, tables_seen);
    const std::string nothing =
        rc == SQLITE_OK ? "nothing was in it" : "nothing could be read from it: " + damaged.error();
    if (rc != SQLITE_OK || tables_seen == 0) {
        damaged.close();
        if (!first_page.lend(damaged_path, fresh) ||
            open_damaged(damaged_path, damaged, tables_seen) != SQLITE_OK)
            return nothing;
    }
    if (fresh.exec("BEGIN IMMEDIATE") != SQLITE_OK) return "nothing was saved: " + fresh.error();
    std::string saved;
    std::uint64_t version = 0;
    const bool version_known = damaged.query("PRAGMA user_version", version) == SQLITE_OK;
    for (const Table& table : tables) {
        if (version_known && version < table.since) continue;
        TableCopy copy(damaged, fresh, table);
        copy.run();
        saved += (saved.empty() ? "rows saved from it: " : ", ") + copy.report();
        rows += copy.rows();
    }
    if (fresh.exec("COMMIT") == SQLITE_OK) return rows > 0 ? saved : nothing;
    saved = "nothing was saved: " + fresh.error();
    fresh.exec("ROLLBACK");
    return saved;
}

}  // namespace sluice::store
