#pragma once
/// What the kernel says of a process's memory.
#include <fmt/format.h>
#include <sys/types.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace sluice::test {

/// Bytes; `field` as in /proc/PID/status: "VmRSS", "VmHWM". 0: there is no such process.
inline std::uint64_t memory_of(pid_t pid, const std::string& field) {
    std::ifstream in(fmt::format("/proc/{}/status", pid));
    for (std::string word; in >> word;) {
        std::uint64_t kib = 0;
        if (word == field + ":" && in >> kib) return kib * 1024;
    }
    return 0;
}

}  // namespace sluice::test
