#pragma once
/// What we tell systemd (Type=notify, WatchdogSec=). Each call does nothing when systemd did not start us.
/// Any thread.
#include <chrono>
#include <optional>
#include <string_view>

namespace sluice::app::systemd {

/// Listening and serving; also the end of a reload. `status` is what `systemctl status` shows, one line.
void notify_ready(std::string_view status);
/// SIGHUP came; notify_ready() ends it.
void notify_reloading();
void notify_stopping(std::string_view status);
void notify_status(std::string_view status);
/// Alive. Call at half of watchdog_period(), and only while every thread turns.
void notify_watchdog();
/// Asks systemd for more time when a start or stop takes long, e.g. a store that is being recovered.
void notify_extend_timeout(std::chrono::microseconds by);

/// What WatchdogSec= asks of this process; nothing when it asks for nothing.
std::optional<std::chrono::microseconds> watchdog_period();

}  // namespace sluice::app::systemd
