#pragma once
/// Watchdog: breaks a send that hangs. rabbitmq-c waits for room in the socket without a deadline, and a
/// server that is frozen or out of memory stops reading.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace sluice::bridge::amqp {

/// Owns a thread that looks on. The connection's thread tells it which socket is its own and when it may be
/// hanging; a send that makes no headway on the wire for the limit has its socket shut down, so that the call
/// returns with an error. Headway counts, not time: a large message on a slow link may take minutes.
class Watchdog {
  public:
    explicit Watchdog(std::chrono::milliseconds limit);
    ~Watchdog();
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

    void watch(int fd);
    /// Before the socket is closed: its number may be somebody else's the moment after.
    void forget();
    /// Any thread: shuts the watched socket down now, and every later one too.
    void break_all();

    /// While one lives, the caller may be hanging in a send.
    class Sending {
      public:
        explicit Sending(Watchdog& dog) : dog_(dog) { dog_.sending_.store(true, std::memory_order_release); }
        ~Sending() { dog_.sending_.store(false, std::memory_order_release); }
        Sending(const Sending&) = delete;
        Sending& operator=(const Sending&) = delete;

      private:
        Watchdog& dog_;
    };

  private:
    void run();
    void look();

    const std::chrono::milliseconds limit_;
    std::atomic<bool> sending_{false};
    std::mutex mutex_;
    std::condition_variable ended_;
    bool end_ = false;
    bool broken_ = false;
    int fd_ = -1;
    std::uint64_t acked_bytes_ = 0;
    std::chrono::steady_clock::time_point headway_at_{};
    std::thread thread_;  // last: it uses all of the above
};

}  // namespace sluice::bridge::amqp
