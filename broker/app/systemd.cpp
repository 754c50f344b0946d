#include "app/systemd.hpp"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "app/logging.hpp"

namespace sluice::app::systemd {
namespace {

void notify(const std::string& state) {
    // Fails only when there is nobody to tell, or systemd is gone: nothing that we could do about it.
    (void)::sd_notify(0, state.c_str());
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
    std::uint64_t period_us = 0;
    if (::sd_watchdog_enabled(0, &period_us) <= 0) return {};
    return std::chrono::microseconds(period_us);
}

}  // namespace sluice::app::systemd
