/// A library to be preloaded: the process's wall clock is off by the milliseconds that stand, as 8 bytes, in
/// the file named by SLUICE_CLOCK_FILE. They may change at any time.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

namespace {

using Offset = std::atomic<std::int64_t>;

const Offset* map_offset() {
    const char* path = ::getenv("SLUICE_CLOCK_FILE");
    const int fd = path ? ::open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return nullptr;
    void* found = ::mmap(nullptr, sizeof(Offset), PROT_READ, MAP_SHARED, fd, 0);
    ::close(fd);
    return found == MAP_FAILED ? nullptr : static_cast<const Offset*>(found);
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
    static const Offset* const offset = map_offset();
    const long result = ::syscall(SYS_clock_gettime, clock, time);
    if (result != 0 || clock != CLOCK_REALTIME || !offset) return static_cast<int>(result);
    constexpr std::int64_t second = 1'000'000'000;
    const std::int64_t shifted = time->tv_sec * second + time->tv_nsec + offset->load() * 1'000'000;
    time->tv_sec = shifted / second;
    time->tv_nsec = shifted % second;
    return 0;
}
