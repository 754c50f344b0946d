#pragma once
/// What every connector with a thread of its own shares: the inbox, the epochs, the way back to the bridge,
/// and a stop() that returns in time whatever the client library is doing.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bridge/connector.hpp"

namespace sluice::bridge {

using Steady = std::chrono::steady_clock;

/// The connector's thread and those who call it meet here. Functions are for the connector's thread unless
/// they say otherwise.
class Worker {
  public:
    Worker();
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Readable when something was offered or settled, or stop() was called; an eventfd, others may write to
    /// it too.
    int wake_fd() const { return wake_fd_; }
    void clear_wake();
    bool stopping() const { return stopping_.load(std::memory_order_acquire); }
    /// When what is in flight need not be waited for any longer; means something once stopping.
    Steady::time_point stop_deadline() const;
    /// Sleeps. False when stop() was called: then at once.
    bool pause(std::chrono::milliseconds duration);
    /// What was offered since the last call; nothing when down.
    std::vector<Outgoing> take();

    void up();
    void down(const std::string& reason);
    /// Passes the confirms on and clears them.
    void confirm(std::vector<Confirm>& confirms);
    /// For the down direction; any thread of the connector.
    void incoming(std::vector<Incoming> messages);
    void source(const std::string& problem);
    /// What was settled since the last call.
    std::vector<Settled> take_settled();
    /// Tells the bridge when the reason changes; an empty one ends the stall.
    void stalled(const std::string& reason);
    void retried(std::uint64_t count);

    // Any thread:
    void offer(std::uint64_t epoch, std::vector<Outgoing> batch);
    void settle(std::vector<Settled> settled);
    void wake();
    void set_events(ConnectorEvents* events);
    void request_stop(std::chrono::milliseconds grace);

  private:
    int wake_fd_;
    std::atomic<bool> stopping_{false};
    std::atomic<Steady::rep> stop_deadline_{0};
    std::mutex inbox_mutex_;
    std::uint64_t epoch_ = 0;  ///< 0 while down
    std::vector<Outgoing> inbox_;
    std::vector<Settled> settled_;
    std::mutex events_mutex_;  ///< held during a call, so that no event comes after stop()
    ConnectorEvents* events_ = nullptr;
    std::string stall_;
};

/// What differs from upstream to upstream.
class Engine {
  public:
    virtual ~Engine() = default;
    /// The connector's thread from begin to end. Returns soon after worker.stopping().
    virtual void run(Worker& worker) = 0;
    /// As Connector::wants_durable().
    virtual bool wants_durable() const { return false; }
    /// Before run().
    virtual void name_lanes(std::vector<LaneName> lanes) { static_cast<void>(lanes); }
    /// Any thread: makes a call that blocks in run() return.
    virtual void interrupt() {}
};

/// A Connector around an engine. `name` is for the log.
std::unique_ptr<Connector> make_connector(std::string name, std::unique_ptr<Engine> engine);

}  // namespace sluice::bridge
