#include "tests/support/memory_group.hpp"

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

bool write(const fs::path& file, const std::string& text) {
    std::ofstream out(file);
    return static_cast<bool>(out << text << std::flush);
}

/// Of "4:memory:/user.slice"; empty: no such hierarchy.
std::string own_group(const std::string& controllers) {
    std::ifstream in("/proc/self/cgroup");
    for (std::string line; std::getline(in, line);) {
        const std::size_t first = line.find(':'), second = line.find(':', first + 1);
        if (line.substr(first + 1, second - first - 1) == controllers) return line.substr(second + 1);
    }
    return {};
}

}  // namespace

MemoryGroup::MemoryGroup(std::uint64_t bytes) {
    const fs::path root = "/sys/fs/cgroup";
    if (const std::string group = own_group("memory"); !group.empty()) {
        make((root / "memory").concat(group), "memory.limit_in_bytes", bytes);
    } else if (own_group("") != "") {
        // Beside ours, not in it: a group of version 2 with processes has no groups with controllers.
        write(root / "cgroup.subtree_control", "+memory");
        make(root, "memory.max", bytes);
    }
}

bool MemoryGroup::make(const fs::path& parent, const char* limit_file, std::uint64_t bytes) {
    static int counter = 0;
    const fs::path folder =
        parent / ("sluice-test-" + std::to_string(::getpid()) + "-" + std::to_string(++counter));
    std::error_code error;
    if (!fs::create_directory(folder, error)) return false;
    folder_ = folder;
    if (fs::exists(folder / limit_file) && write(folder / limit_file, std::to_string(bytes))) {
        // Where there is swap, the group must not get out that way.
        if (fs::exists(folder / "memory.swap.max")) write(folder / "memory.swap.max", "0");
        return true;
    }
    fs::remove(folder, error);
    folder_.clear();
    return false;
}

MemoryGroup::~MemoryGroup() {
    if (!made()) return;
    // The kernel may need a moment to notice that the process is gone.
    std::error_code error;
    for (int attempt = 0; attempt < 100 && ::rmdir(folder_.c_str()) != 0; ++attempt)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

std::uint64_t MemoryGroup::killed() const {
    for (const char* file : {"memory.events", "memory.oom_control"}) {
        std::ifstream in(folder_ / file);
        for (std::string word; in >> word;) {
            std::uint64_t count = 0;
            if (word == "oom_kill" && in >> count) return count;
        }
    }
    return 0;
}

}  // namespace sluice::test
