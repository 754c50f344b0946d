#include "app/systemd.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "app/logging.hpp"

namespace sluice::app::systemd {
namespace {

/// One datagram to the socket that systemd has named, as sd_notify(3) describes the protocol. Not by
/// libsystemd: for this one datagram it brings seven libraries and 1 MB of resident memory.
void notify(const std::string& state) {
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::size_t length = path ? std::strlen(path) : 0;
    if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) return;
    std::memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = '\0';  // in the abstract namespace
    const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return;
    // Fails only when systemd is gone: nothing that we could do about it.
    (void)::sendto(socket, state.data(), state.size(), MSG_NOSIGNAL,
                   reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
    ::close(socket);
}

/// A positive number in the environment, or nothing.
std::optional<std::int64_t> number_in(const char* name) {
    const char* text = std::getenv(name);
    if (!text) return {};
    std::int64_t number = 0;
    const char* end = text + std::strlen(text);
    const auto [stop, error] = std::from_chars(text, end, number);
    if (error != std::errc() || stop != end || number <= 0) return {};
    return number;
}

/// A line end in a status would begin another assignment.
std::string status_line(std::string_view status) {
    return fmt::format("STATUS={}", printable_line(status));
}

}  // namespace

void notify_ready(std::string_view status) {
    notify(fmt::format("READY=1\n{}", status_line(status)));
}

void notify_reloading() {
    // The time lets systemd (from 253, Type=notify-reload) tell this reload from an earlier one.
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1'000'000LL + now.tv_nsec / 1000));
}

void notify_stopping(std::string_view status) {
    notify(fmt::format("STOPPING=1\n{}", status_line(status)));
}

void notify_status(std::string_view status) {
    notify(status_line(status));
}

void notify_watchdog() {
    notify("WATCHDOG=1");
}

void notify_extend_timeout(std::chrono::microseconds by) {
    notify(fmt::format("EXTEND_TIMEOUT_USEC={}", by.count()));
}

std::optional<std::chrono::microseconds> watchdog_period() {
    // sd_watchdog_enabled(3): the period may be meant for another process of the service.
    const auto period_us = number_in("WATCHDOG_USEC");
    if (std::getenv("WATCHDOG_PID") && number_in("WATCHDOG_PID") != ::getpid()) return {};
    if (!period_us) return {};
    return std::chrono::microseconds(*period_us);
}

}  // namespace sluice::app::systemd
