#include "admin/command_thread.hpp"

#include <pthread.h>
#include <signal.h>

#include "base/check.hpp"

namespace sluice::admin {

std::thread start_quiet_thread(const char* name, std::function<void()> task) {
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread(std::move(task));
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::pthread_setname_np(thread.native_handle(), name);
    return thread;
}

void CommandThread::start() {
    CHECK(!thread_.joinable());
    running_ = true;
    thread_ = start_quiet_thread("sluice-command", [this] { run(); });
}

bool CommandThread::post(Command command) {
    const std::lock_guard lock(mutex_);
    if (!running_ || waiting_.size() >= waiting_max_) return false;
    waiting_.push_back({std::move(command), Clock::now()});
    changed_.notify_one();
    return true;
}

void CommandThread::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [&] { return !running_ || !waiting_.empty(); });
        if (!running_) return;
        Waiting next = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        next.command(Clock::now() - next.since <= wait_max_);
        lock.lock();
    }
}

void CommandThread::stop() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        running_ = false;
        changed_.notify_one();
    }
    thread_.join();
    waiting_.clear();
}

}  // namespace sluice::admin
