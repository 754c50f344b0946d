#include "bridge/amqp/watchdog.hpp"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>

namespace sluice::bridge::amqp {
namespace {

/// What the peer's machine has acknowledged of what we sent.
std::uint64_t acknowledged_bytes(int fd) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
    return info.tcpi_bytes_acked;
}

}  // namespace

Watchdog::Watchdog(std::chrono::milliseconds limit) : limit_(limit), thread_([this] { run(); }) {}

Watchdog::~Watchdog() {
    {
        const std::lock_guard lock(mutex_);
        end_ = true;
    }
    ended_.notify_all();
    thread_.join();
}

void Watchdog::watch(int fd) {
    const std::lock_guard lock(mutex_);
    fd_ = fd;
    headway_at_ = std::chrono::steady_clock::now();
    if (broken_) ::shutdown(fd, SHUT_RDWR);
}

void Watchdog::forget() {
    const std::lock_guard lock(mutex_);
    fd_ = -1;
}

void Watchdog::break_all() {
    const std::lock_guard lock(mutex_);
    broken_ = true;
    if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
}

void Watchdog::run() {
    const auto interval =
        std::clamp(limit_ / 8, std::chrono::milliseconds(100), std::chrono::milliseconds(1000));
    std::unique_lock lock(mutex_);
    while (!ended_.wait_for(lock, interval, [this] { return end_; })) look();
}

/// With the lock held. A send that began since the last look counts from then: the limit is only ever longer.
void Watchdog::look() {
    const auto now = std::chrono::steady_clock::now();
    const std::uint64_t acked = fd_ >= 0 ? acknowledged_bytes(fd_) : 0;
    if (fd_ < 0 || !sending_.load(std::memory_order_acquire) || acked != acked_bytes_) {
        acked_bytes_ = acked;
        headway_at_ = now;
    } else if (now - headway_at_ > limit_) {
        ::shutdown(fd_, SHUT_RDWR);
    }
}

}  // namespace sluice::bridge::amqp
