#pragma once
/// Runs a program to its end, with a deadline, and keeps what it said.
#include <chrono>
#include <string>
#include <vector>

namespace sluice::test {

struct CommandResult {
    int exit_code = -1;  ///< 128 + signal when a signal ended it
    bool timed_out = false;
    std::string out;
    std::string err;
};

/// A program that is still running at the deadline is killed.
CommandResult run_command(const std::vector<std::string>& command,
                          std::chrono::milliseconds longest = std::chrono::seconds(30));

}  // namespace sluice::test
