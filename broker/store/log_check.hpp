#pragma once
/// What SQLite passes over in silence: a write-ahead log that holds more than can be believed.
#include <cstdint>
#include <string>

namespace sluice::store {

struct LogCheck {
    bool is_log = true;  ///< else: it begins with something else, and all in it is lost
    /// Commits behind the first frame whose checksum does not hold. One may be a commit that the power went
    /// in the middle of; it was promised to nobody, and a commit begins when the one before it has been
    /// synced.
    std::uint64_t commits_behind_damage = 0;

    bool damaged() const { return !is_log || commits_behind_damage > 1; }
};

/// Reads `path`; one that is missing or empty is a log with nothing in it.
/// <https://sqlite.org/fileformat2.html#walformat>
LogCheck check_log(const std::string& path);
/// One line about what is lost; empty: nothing that anybody was promised.
std::string describe(const LogCheck& check, const std::string& path);

}  // namespace sluice::store
