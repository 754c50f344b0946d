#pragma once
/// What an operator does with a store's file: look it over, copy it, put a copy in its place. The first two
/// beside a running broker, as readers that it does not wait for; what it writes meanwhile lengthens its log.
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace sluice::store {

/// Of one file, at one moment.
struct StoreReport {
    std::uint64_t schema = 0, file_bytes = 0;
    std::uint64_t sessions = 0, subscriptions = 0, messages = 0, retained = 0;
    std::vector<std::string> damage;  ///< one line for each thing that a start would lose; empty: all is well
};

/// Reads all of `file`, checksums included. An error: there is no store, or none that can be opened.
Result<StoreReport, std::string> check_store(const std::string& file);

/// Copies the store of `data_dir`, as it is at one moment, to `target`, which must not exist and is whole,
/// checked and on disk when it does. What is found wrong in the copy is in the report.
Result<StoreReport, std::string> back_up_store(const std::string& data_dir, const std::string& target);

struct Restored {
    StoreReport report;
    std::string set_aside;  ///< where the store is that was there before; empty: there was none
};
/// Puts a copy of `backup` in the place of the store of `data_dir`, for the owner of that folder. No broker
/// may run on it, and the backup must be without damage.
Result<Restored, std::string> restore_store(const std::string& backup, const std::string& data_dir);

}  // namespace sluice::store
