#pragma once
/// Runs a program for what it prints.
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace sluice::bridge::kafka {

/// What lets a wait be broken off: when `fd` (an eventfd) is written to, `stopped` is asked.
struct StopSign {
    int fd = -1;
    std::function<bool()> stopped;
};

/// The standard output of `command` (program and arguments; no shell; found in PATH when it has no slash).
/// Standard input is empty, the error output is thrown away: it may repeat secrets. The whole process group
/// is killed when it takes longer than `timeout`, prints more than `bytes_max`, or `stop` says so; an error
/// then too, and when it ends with a status other than 0. The error has nothing of what was printed.
Result<std::string, std::string> run_command(const std::vector<std::string>& command, std::size_t bytes_max,
                                             std::chrono::milliseconds timeout, const StopSign& stop);

}  // namespace sluice::bridge::kafka
