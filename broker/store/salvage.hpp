#pragma once
/// What to do with a damaged file: set it aside untouched, and copy what can still be read into a fresh one.
#include <string>

#include "base/result.hpp"
#include "store/sqlite_db.hpp"

namespace sluice::store {

/// Why a file is set aside: `path`.damaged-<time>, of which the newest few are kept, or
/// `path`.replaced-<time>, which are the operator's.
enum class Aside : bool { damaged, replaced };

/// Renames `path` and its log; returns the new path.
Result<std::string, std::string> set_aside(const std::string& path, Aside why = Aside::damaged);

/// Copies row by row, around what cannot be read. Checksums are judged later, when the rows are used. Returns
/// one line with what was saved.
std::string salvage(const std::string& damaged_path, SqliteDb& fresh);

}  // namespace sluice::store
