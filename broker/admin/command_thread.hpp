#pragma once
/// Commands may wait for shards: they have a thread of their own, so that the port's thread goes on
/// answering.
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace sluice::admin {

/// One that takes no signals: those are for the main thread. At most 15 letters of the name are kept.
std::thread start_quiet_thread(const char* name, std::function<void()> task);

/// Runs commands one at a time, in the order of their coming.
class CommandThread {
  public:
    /// Told whether it is still in time; when not it must do nothing but say so.
    using Command = std::function<void(bool in_time)>;

    /// `waiting_max`: commands that may wait behind the running one; `wait_max`: how long one waits before it
    /// is too late for it.
    CommandThread(std::size_t waiting_max, std::chrono::milliseconds wait_max)
        : waiting_max_(waiting_max), wait_max_(wait_max) {}
    ~CommandThread() { stop(); }
    CommandThread(const CommandThread&) = delete;
    CommandThread& operator=(const CommandThread&) = delete;

    /// Once.
    void start();
    /// Any thread. False when there are too many already, and when it is not running: nothing will be done.
    bool post(Command command);
    /// Waits for the running command; those behind it are destroyed here without being run. May be called
    /// twice.
    void stop();

  private:
    using Clock = std::chrono::steady_clock;
    struct Waiting {
        Command command;
        Clock::time_point since;
    };
    void run();

    const std::size_t waiting_max_;
    const std::chrono::milliseconds wait_max_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Waiting> waiting_;  ///< under the mutex
    bool running_ = false;         ///< under the mutex
    std::thread thread_;
};

}  // namespace sluice::admin
