#include "tests/sim/time.hpp"

#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <random>

namespace sluice::sim {
namespace {

// Neither clock begins at 0: a time that nobody has set must not look like one.
constexpr std::int64_t mono_begins_ms = 1'000'000;
constexpr std::int64_t wall_begins_ms = 1'700'000'000'000;

std::int64_t passed_ms = 0;
std::uint32_t entropy = 0;

}  // namespace

void reset_time() {
    passed_ms = 0;
    entropy = 0;
}

void pass_time_ms(std::int64_t ms) {
    passed_ms += ms;
}

std::int64_t time_ms() {
    return passed_ms;
}

std::int64_t cpu_ms() {
    timespec now{};
    ::syscall(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace sluice::sim

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
    const bool wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    const std::int64_t ms =
        (wall ? sluice::sim::wall_begins_ms : sluice::sim::mono_begins_ms) + sluice::sim::passed_ms;
    now->tv_sec = ms / 1000;
    now->tv_nsec = ms % 1000 * 1'000'000;
    return 0;
}

// Without one, Asio asks the clock above when it looks for timers that are due.
extern "C" int timerfd_create(int /*clock*/, int /*flags*/) noexcept {
    errno = ENOSYS;
    return -1;
}

std::random_device::result_type std::random_device::_M_getval() {
    return ++sluice::sim::entropy * 2654435761U;
}
