#pragma once
/// Where the lines of the log port go: stderr.
#include <string>
#include <string_view>

#include "base/log.hpp"

namespace sluice::app {

/// plain: with time and level, for people. journal: a syslog priority such as <4> that journald reads and
/// takes off; it has the time itself.
enum class LogForm : std::uint8_t { plain, journal };

/// journal when systemd started us and stderr is not a terminal.
LogForm find_log_form();

/// Installs the sink; once, before there are other threads.
void start_logging(LogForm form, log::Level level);

/// What stands before a line in the journal form.
std::string_view journal_priority(log::Level level);
/// A line as one line: what a peer put into it can neither begin another nor steer a terminal.
std::string printable_line(std::string_view line);

}  // namespace sluice::app
