#include "app/memory_budget.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

/// A limit file holds a number, or "max".
std::uint64_t limit_in(const fs::path& file) {
    std::ifstream in(file);
    std::uint64_t bytes = 0;
    return in >> bytes ? bytes : UINT64_MAX;
}

/// "0::/system.slice/sluice.service": the line of version 2.
std::string own_group(const std::string& cgroup_of_self) {
    std::ifstream in(cgroup_of_self);
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("0::/")) return line.substr(4);
    }
    return {};
}

}  // namespace

std::uint64_t memory_available(const std::string& cgroup_root, const std::string& cgroup_of_self) {
    const auto pages = ::sysconf(_SC_PHYS_PAGES), page_bytes = ::sysconf(_SC_PAGE_SIZE);
    std::uint64_t bytes = pages > 0 && page_bytes > 0
                              ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes)
                              : std::uint64_t{1} << 30;
    // A group may not use more than any of those that it is in; "..": a group outside our namespace.
    fs::path group = own_group(cgroup_of_self);
    if (group.string().find("..") != std::string::npos) group.clear();
    while (true) {
        const fs::path folder = fs::path(cgroup_root) / group;
        bytes = std::min({bytes, limit_in(folder / "memory.max"), limit_in(folder / "memory.high")});
        if (group.empty()) return bytes;
        group = group.parent_path();
    }
}

}  // namespace sluice::app
