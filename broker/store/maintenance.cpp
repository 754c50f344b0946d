#include "store/maintenance.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "store/data_dir.hpp"
#include "store/log_check.hpp"
#include "store/salvage.hpp"
#include "store/sqlite_recovery.hpp"
#include "store/sqlite_schema.hpp"

namespace sluice::store {
namespace {

namespace fs = std::filesystem;

std::string store_of(const std::string& data_dir) {
    return (fs::path(data_dir) / store_name).string();
}

std::string folder_of(const std::string& file) {
    const fs::path parent = fs::path(file).parent_path();
    return parent.empty() ? "." : parent.string();
}

/// Removes a file that was not finished.
class Unfinished {
  public:
    explicit Unfinished(std::string path) : path_(std::move(path)) { ::unlink(path_.c_str()); }
    ~Unfinished() {
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    Unfinished(const Unfinished&) = delete;
    Unfinished& operator=(const Unfinished&) = delete;
    const std::string& path() const { return path_; }
    /// Whole and on disk: takes its name.
    Result<void, std::string> finish(const std::string& target) {
        const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
        const bool synced = fd >= 0 && ::fsync(fd) == 0;
        if (fd >= 0) ::close(fd);
        if (!synced || ::rename(path_.c_str(), target.c_str()) != 0)
            return Err{fmt::format("{} cannot be made: {}", target, std::strerror(errno))};
        path_.clear();
        sync_dir(folder_of(target));
        return {};
    }

  private:
    std::string path_;
};

/// None: it can be read. Else the reason why not, or, in `report`, what a start would find at once.
Result<void, std::string> look(const std::string& file, StoreReport& report) {
    const FileCheck check = check_file(file, false);
    switch (check.kind) {
        case FileKind::fresh:
            return Err{file + " is not there, or empty"};
        case FileKind::newer:
            return Err{
                fmt::format("{} was written by a newer Sluice (its schema is {}, this one knows up to {})",
                            file, check.reason, schema_version)};
        case FileKind::unreadable:
            return Err{fmt::format("{} cannot be opened: {}", file, check.reason)};
        case FileKind::damaged:
            report.damage.push_back(fmt::format("{} is damaged: {}", file, check.reason));
            break;
        case FileKind::ours:
            break;
    }
    return {};
}

void count(const Recovered& recovered, const SettleLedger& ledger, StoreReport& report) {
    report.sessions = recovered.sessions.size();
    for (const RecoveredSession& session : recovered.sessions)
        report.subscriptions += session.subscriptions.size();
    report.messages = ledger.rows();
    report.retained = recovered.retained.size();
}

int copy_pages(SqliteDb& from, SqliteDb& to) {
    sqlite3_backup* copy = sqlite3_backup_init(to.get(), "main", from.get(), "main");
    if (!copy) return sqlite3_errcode(to.get());
    // All in one step: in several, each commit of the broker in between would begin it anew.
    int rc = sqlite3_backup_step(copy, -1);
    const int end = sqlite3_backup_finish(copy);
    if (rc == SQLITE_DONE) rc = end;
    // One file, without a log beside it.
    return rc == SQLITE_OK ? to.exec("PRAGMA journal_mode=DELETE") : rc;
}

/// Root restores for the user that the broker runs as.
bool give_to_owner_of(const std::string& data_dir, const std::string& file) {
    struct stat dir {};
    if (::geteuid() != 0) return true;
    return ::stat(data_dir.c_str(), &dir) == 0 && ::chown(file.c_str(), dir.st_uid, dir.st_gid) == 0;
}

/// All of `from`, what is in its log included, as one file; the report is of the copy.
Result<StoreReport, std::string> copy_store(const std::string& file, const std::string& to_file) {
    SqliteDb from, to;
    int rc = from.open(file, SqliteDb::Mode::read_only);
    if (rc != SQLITE_OK) return Err{fmt::format("{} cannot be opened: {}", file, from.error())};
    sqlite3_db_config(from.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    const int fd = ::open(to_file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return Err{fmt::format("{} cannot be made: {}", to_file, std::strerror(errno))};
    ::close(fd);
    rc = to.open(to_file, SqliteDb::Mode::read_write);
    if (rc == SQLITE_OK) rc = copy_pages(from, to);
    if (rc != SQLITE_OK) return Err{fmt::format("{} cannot be copied to {}: {}", file, to_file, to.error())};
    to.close();
    return check_store(to_file);
}

}  // namespace

Result<StoreReport, std::string> check_store(const std::string& file) {
    StoreReport report;
    if (auto looked = look(file, report); !looked) return Err{looked.error()};
    const bool file_damaged = !report.damage.empty();
    // Of a running broker the log moves under whoever reads it.
    if (!is_in_use(folder_of(file))) {
        const std::string lost = describe(check_log(file + "-wal"), file + "-wal");
        if (!lost.empty()) report.damage.push_back(lost);
    }
    struct stat info {};
    if (::stat(file.c_str(), &info) == 0) report.file_bytes = static_cast<std::uint64_t>(info.st_size);
    if (file_damaged) return report;
    SqliteDb db;
    SettleLedger ledger;
    Recovered recovered;
    Recovery recovery(db, ledger, recovered);
    std::string verdict;
    int rc = db.open(file, SqliteDb::Mode::read_only);
    if (rc == SQLITE_OK) sqlite3_db_config(db.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    if (rc == SQLITE_OK) rc = db.query("PRAGMA user_version", report.schema);
    // One moment for all that is read.
    if (rc == SQLITE_OK) rc = db.exec("BEGIN");
    if (rc == SQLITE_OK) rc = db.query("PRAGMA integrity_check(1)", verdict);
    if (rc == SQLITE_OK && verdict != "ok")
        report.damage.push_back(fmt::format("{} is damaged: {}", file, verdict));
    // A file of an earlier version lacks tables; the start that brings it up reads the rest.
    const bool readable = verdict == "ok" && report.schema == schema_version;
    if (rc == SQLITE_OK && readable) rc = recovery.read();
    if (rc == SQLITE_OK && readable) rc = recovery.check_bodies();
    if (is_damage(rc)) {
        report.damage.push_back(fmt::format("{} is damaged: {}", file, db.error()));
    } else if (rc != SQLITE_OK) {
        return Err{fmt::format("{} cannot be read: {}", file, db.error())};
    }
    for (std::string& line : recovery.findings().describe()) report.damage.push_back(std::move(line));
    count(recovered, ledger, report);
    return report;
}

Result<StoreReport, std::string> back_up_store(const std::string& data_dir, const std::string& target) {
    const std::string file = store_of(data_dir);
    StoreReport ignored;
    if (auto looked = look(file, ignored); !looked) return Err{looked.error()};
    std::error_code code;
    if (fs::exists(target, code)) return Err{target + " is there already; a backup does not replace another"};
    Unfinished part(target + ".part");
    auto report = copy_store(file, part.path());
    if (!report) return report;
    if (auto finished = part.finish(target); !finished) return Err{finished.error()};
    return report;
}

Result<Restored, std::string> restore_store(const std::string& backup, const std::string& data_dir) {
    std::error_code code;
    // One that a start would make: a restore that lands in a misspelt folder helps nobody.
    if (!fs::is_directory(data_dir, code)) return Err{data_dir + " is not a directory"};
    StoreReport found;
    if (auto looked = look(backup, found); !looked) return Err{looked.error()};
    if (!found.damage.empty()) return Err{found.damage.front() + "; nothing was changed"};
    const auto lock = take_data_dir(data_dir);
    if (!lock) return Err{lock.error() + "; stop it first"};
    const std::string file = store_of(data_dir);
    Unfinished part(file + ".part");
    auto report = copy_store(backup, part.path());
    if (!report) return Err{report.error()};
    if (!report->damage.empty())
        return Err{fmt::format("{}: {}; nothing was changed", backup, report->damage.front())};
    if (!give_to_owner_of(data_dir, part.path()) || !give_to_owner_of(data_dir, data_dir + "/" + lock_name))
        return Err{fmt::format("{} cannot be given to the owner of {}: {}", part.path(), data_dir,
                               std::strerror(errno))};
    Restored restored{.report = std::move(report).value(), .set_aside = {}};
    // A log without its file would be taken for the restored one's.
    if (fs::exists(file, code) || fs::exists(file + "-wal", code)) {
        auto aside = set_aside(file, Aside::replaced);
        if (!aside) return Err{aside.error()};
        restored.set_aside = std::move(aside).value();
    }
    if (auto finished = part.finish(file); !finished) return Err{finished.error()};
    // What came after the backup may have gone upstream under the numbers that will be used again: as another
    // gateway, nobody there takes new messages for those. A start makes a new name.
    fs::remove(data_dir + "/gateway.id", code);
    return restored;
}

}  // namespace sluice::store
