#include "base/core_time.hpp"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace sluice::core_time {
namespace {

// The kernel's struct sched_attr as it was first; C libraries before glibc 2.41 have none.
struct Attributes {
    std::uint32_t size = sizeof(Attributes);
    std::uint32_t policy = 0;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime_ns = 0;  ///< of an ordinary thread: its slice
    std::uint64_t deadline_ns = 0;
    std::uint64_t period_ns = 0;
};
static_assert(sizeof(Attributes) == 48);

// The shortest that the kernel grants. A woken thread takes the core from one whose slice is longer.
constexpr std::uint64_t prompt_slice_ns = 100'000;
// A weight of 335 beside 1024.
constexpr int steps_behind = 5;

}  // namespace

void run_promptly() {
    Attributes mine;
    if (::syscall(SYS_sched_getattr, 0, &mine, sizeof mine, 0) != 0) return;
    mine.runtime_ns = prompt_slice_ns;
    (void)::syscall(SYS_sched_setattr, 0, &mine, 0);
}

void give_way() {
    // On Linux this priority is the calling thread's, not the process's.
    (void)::setpriority(PRIO_PROCESS, 0, ::getpriority(PRIO_PROCESS, 0) + steps_behind);
}

}  // namespace sluice::core_time
