#pragma once
/// MemoryGroup: a control group (v1 or v2) of its own for one process of a test, with a limit of memory.
#include <cstdint>
#include <filesystem>
#include <string>

namespace sluice::test {

class MemoryGroup {
  public:
    explicit MemoryGroup(std::uint64_t bytes);
    /// Whatever was in it has ended by then.
    ~MemoryGroup();
    MemoryGroup(const MemoryGroup&) = delete;
    MemoryGroup& operator=(const MemoryGroup&) = delete;

    /// False where this machine, or this user, cannot make one.
    bool made() const { return !folder_.empty(); }
    /// A process that writes "0" into it is in the group.
    std::string processes_file() const { return folder_ / "cgroup.procs"; }
    /// Processes that the kernel has killed because the group was full.
    std::uint64_t killed() const;

  private:
    bool make(const std::filesystem::path& parent, const char* limit_file, std::uint64_t bytes);

    std::filesystem::path folder_;
};

}  // namespace sluice::test
