#pragma once
/// CHECK: our own rules. A broken rule aborts with its text and place; a peer's mistake never comes here.
#include <cstdio>
#include <cstdlib>
#include <thread>

#define SLUICE_STRINGIFY_(x) #x
#define SLUICE_STRINGIFY(x) SLUICE_STRINGIFY_(x)
/// Aborts the process when `condition` is false, in every build.
#define CHECK(condition)          \
    (static_cast<bool>(condition) \
         ? void(0)                \
         : ::sluice::check_failed(#condition, __FILE__ ":" SLUICE_STRINGIFY(__LINE__)))

namespace sluice {

[[noreturn]] inline void check_failed(const char* condition, const char* place) {
    std::fprintf(stderr, "sluice: CHECK failed: %s at %s\n", condition, place);
    std::abort();
}

/// Remembers which thread owns an object; `check()` aborts in debug builds when another one uses it.
/// An object that is built on one thread and used on another calls `adopt()` once on its new home.
class OwnerThread {
  public:
    void adopt() {
#ifndef NDEBUG
        owner_ = std::this_thread::get_id();
#endif
    }
    void check() const {
#ifndef NDEBUG
        CHECK(owner_ == std::thread::id{} || owner_ == std::this_thread::get_id());
#endif
    }

  private:
#ifndef NDEBUG
    std::thread::id owner_{};
#endif
};

}  // namespace sluice
