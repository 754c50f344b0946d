#pragma once
/// `sluicectl store check|backup|restore`: the store's file itself, with or without a running broker.
#include <iosfwd>
#include <string>

namespace sluice::app {

struct StoreOptions {
    enum class Task : std::uint8_t { none, check, backup, restore };
    Task task = Task::none;
    std::string data_dir = "/var/lib/sluice";
    std::string file;  ///< of check: empty for the store of `data_dir`
    bool as_json = false;
};

/// 0: done, and all is well. 1: not done, or something is damaged; the reasons are lines in `out` or `err`.
int maintain_store(const StoreOptions& options, std::ostream& out, std::ostream& err);

}  // namespace sluice::app
