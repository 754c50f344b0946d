#pragma once
/// What limits.memory_max is when the operator does not say.
#include <cstdint>
#include <string>

namespace sluice::app {

/// The memory that this process can get: the machine's, or less where a control group (v1 or v2) allows less.
/// Bytes. `cgroup_root` and `cgroup_of_self` are for tests.
std::uint64_t memory_available(const std::string& cgroup_root = "/sys/fs/cgroup",
                               const std::string& cgroup_of_self = "/proc/self/cgroup");

/// Half of what is left of `available_bytes` beside the broker itself. The other half is for connections,
/// sessions, the store, and what the allocator loses. Where next to nothing is left, a quarter.
inline std::uint64_t default_memory_max(std::uint64_t available_bytes = memory_available()) {
    constexpr std::uint64_t itself_bytes = 16ULL << 20;
    return available_bytes > 2 * itself_bytes ? (available_bytes - itself_bytes) / 2 : available_bytes / 4;
}

/// Makes the allocator keep little beyond what is in use, for a budget that is small enough for it to matter:
/// by default every thread fills an area of its own, whose holes serve nobody else, and a large block that
/// was freed once makes it keep all such blocks from then on. Broad budgets (or 0, none) stay as they are,
/// for many threads. For the whole process: once, from its first thread, before others start.
void bound_allocator(std::uint64_t memory_max_bytes);

}  // namespace sluice::app
