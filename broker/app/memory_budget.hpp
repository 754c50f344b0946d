#pragma once
/// What limits.memory_max is when the operator does not say.
#include <cstdint>
#include <string>

namespace sluice::app {

/// The memory that this process can get: the machine's, or less where a control group (v2) allows less.
/// Bytes. `cgroup_root` and `cgroup_of_self` are for tests.
std::uint64_t memory_available(const std::string& cgroup_root = "/sys/fs/cgroup",
                               const std::string& cgroup_of_self = "/proc/self/cgroup");

/// Half of it. The other half is for connections, sessions, the store, and what the allocator loses.
inline std::uint64_t default_memory_max() {
    return memory_available() / 2;
}

}  // namespace sluice::app
