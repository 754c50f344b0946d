#pragma once
/// The command line of `sluiced`.
#include <iosfwd>
#include <string>

#include "base/log.hpp"
#include "base/result.hpp"

namespace sluice::app {

struct Options {
    enum class Task : std::uint8_t { serve, check, print_version, print_settings };

    std::string config_path = "/etc/sluice/sluice.toml";
    log::Level log_level = log::Level::info;
    Task task = Task::serve;
};

constexpr int exit_ok = 0;
constexpr int exit_failed = 1;
constexpr int exit_usage = 2;

/// The options, or the exit code when the command line has had its answer: help on `out`, or what is wrong
/// with it on `err`.
Result<Options, int> parse_options(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace sluice::app
