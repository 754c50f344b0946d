#pragma once
/// How the kernel shares the cores between threads, as a test sees it.
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace sluice::test {

struct ThreadTime {
    std::uint32_t policy = 0;    ///< SCHED_OTHER and its like
    std::int32_t nice = 0;       ///< -20 to 19
    std::uint64_t slice_ns = 0;  ///< 0: the kernel has no slices that a thread may choose (before Linux 6.12)
};

/// Of a thread of this machine; 0: the calling one.
inline ThreadTime thread_time(pid_t thread) {
    struct {  // the kernel's struct sched_attr
        std::uint32_t size = 48, policy = 0;
        std::uint64_t flags = 0;
        std::int32_t nice = 0;
        std::uint32_t priority = 0;
        std::uint64_t runtime = 0, deadline = 0, period = 0;
    } found;
    if (::syscall(SYS_sched_getattr, thread, &found, sizeof found, 0) != 0) return {};
    return {found.policy, found.nice, found.runtime};
}

/// The threads of a process by name; the last of those that share one.
inline std::map<std::string, pid_t> threads_of(pid_t process) {
    std::map<std::string, pid_t> threads;
    const std::string folder = "/proc/" + std::to_string(process) + "/task";
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        std::string name;
        std::getline(std::ifstream(entry.path() / "comm"), name);
        threads[name] = static_cast<pid_t>(std::stol(entry.path().filename()));
    }
    return threads;
}

/// Seconds of a core that it has had.
inline double core_seconds(pid_t thread) {
    double nanoseconds = 0;
    std::ifstream("/proc/" + std::to_string(thread) + "/schedstat") >> nanoseconds;
    return nanoseconds / 1e9;
}

}  // namespace sluice::test
