#pragma once
/// How the threads of the broker share the time of few cores. Each call is a wish of the calling thread to
/// the kernel, needs no privilege and holds until the thread ends; a kernel that refuses (a sandbox may)
/// leaves things as they are, which is slower for some and wrong for nobody.
#include <thread>

namespace sluice::core_time {

/// For threads that work for microseconds at a time and that somebody waits for: when such a thread wakes up
/// it takes the core from one that computes, also in the middle of that one's slice. It gets no larger share
/// of the time than others. From Linux 6.12; older kernels do not need it, or have no such thing (6.6
/// to 6.11).
void run_promptly();

/// For threads that compute for milliseconds: others go first. Where all cores are busy it still gets a
/// quarter of one.
void give_way();

/// Long work in pieces: for a thread that runs promptly and now and then has work for milliseconds. Between
/// the pieces whoever waits for its core goes first; a kernel may let the thread itself wait for the rest of
/// its slice then, which is why the slice should be short. One thread.
class Pieces {
  public:
    /// Some microseconds of the work are done.
    void step() {
        if (++steps_ % steps_per_piece == 0) std::this_thread::yield();
    }

  private:
    static constexpr unsigned steps_per_piece = 64;
    unsigned steps_ = 0;
};

}  // namespace sluice::core_time
