#include "app/memory_budget.hpp"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

/// Up to here one area is for all threads.
constexpr std::uint64_t small_budget_bytes = 256ULL << 20;
constexpr int block_of_its_own_bytes = 128 * 1024;

/// A limit file holds a number, or "max"; of version 1 a number too large for any machine.
std::uint64_t limit_in(const fs::path& file) {
    std::ifstream in(file);
    std::uint64_t bytes = 0;
    return in >> bytes ? bytes : UINT64_MAX;
}

/// "memory" or "cpu,memory": the controllers of a hierarchy of version 1.
bool names_memory(const std::string& controllers) {
    return ("," + controllers + ",").find(",memory,") != std::string::npos;
}

struct OwnGroups {
    fs::path unified;  ///< "0::/system.slice/sluice.service": version 2
    fs::path memory;   ///< "4:memory:/system.slice/sluice.service": version 1
};

OwnGroups own_groups(const std::string& cgroup_of_self) {
    OwnGroups groups;
    std::ifstream in(cgroup_of_self);
    for (std::string line; std::getline(in, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos || line.compare(second, 2, ":/") != 0) continue;
        // "..": a group outside our namespace.
        const std::string group = line.substr(second + 2);
        if (group.find("..") != std::string::npos) continue;
        if (line.starts_with("0::")) groups.unified = group;
        if (names_memory(line.substr(first + 1, second - first - 1))) groups.memory = group;
    }
    return groups;
}

/// The least of what the group and those that it is in allow.
std::uint64_t tightest(const fs::path& root, fs::path group, std::initializer_list<const char*> files) {
    std::uint64_t bytes = UINT64_MAX;
    while (true) {
        for (const char* file : files) bytes = std::min(bytes, limit_in(root / group / file));
        if (group.empty()) return bytes;
        group = group.parent_path();
    }
}

}  // namespace

std::uint64_t memory_available(const std::string& cgroup_root, const std::string& cgroup_of_self) {
    const auto pages = ::sysconf(_SC_PHYS_PAGES), page_bytes = ::sysconf(_SC_PAGE_SIZE);
    const std::uint64_t machine = pages > 0 && page_bytes > 0 ? static_cast<std::uint64_t>(pages) *
                                                                    static_cast<std::uint64_t>(page_bytes)
                                                              : std::uint64_t{1} << 30;
    const OwnGroups groups = own_groups(cgroup_of_self);
    return std::min({machine, tightest(cgroup_root, groups.unified, {"memory.max", "memory.high"}),
                     tightest(fs::path(cgroup_root) / "memory", groups.memory, {"memory.limit_in_bytes"})});
}

void bound_allocator(std::uint64_t memory_max_bytes) {
    if (memory_max_bytes == 0 || memory_max_bytes > small_budget_bytes) return;
    ::mallopt(M_ARENA_MAX, 1);
    ::mallopt(M_MMAP_THRESHOLD, block_of_its_own_bytes);
    ::mallopt(M_TRIM_THRESHOLD, block_of_its_own_bytes);
}

}  // namespace sluice::app
