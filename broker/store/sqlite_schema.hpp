#pragma once
/// The tables, their version, and how an older file becomes a newer one.
#include <string>

#include "base/result.hpp"
#include "store/sqlite_db.hpp"

namespace sluice::store {

constexpr std::uint64_t schema_version = 2;
/// "Slce" in the file's header: `file sluice.db` and our own check know it by this.
constexpr std::uint64_t application_id = 0x536c6365;
constexpr std::uint64_t page_bytes = 4096;

/// What a file is before it is opened for writing.
enum class FileKind : std::uint8_t {
    fresh,
    ours,
    newer,       ///< of a later Sluice
    damaged,     ///< to be set aside
    unreadable,  ///< for a reason that is not the file's fault, such as its permissions
};
struct FileCheck {
    FileKind kind = FileKind::fresh;
    std::string reason;  ///< in the words of SQLite; of a newer file its version
};
/// Looks without changing anything; a missing or empty file is fresh. `alone`: see SqliteDb::Mode.
FileCheck check_file(const std::string& path, bool alone);

/// Opens for writing, sets the connection up and brings the tables to this version.
int open_for_writing(const std::string& path, SqliteDb& db, bool alone);

}  // namespace sluice::store
