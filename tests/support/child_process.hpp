#pragma once
/// ChildProcess: a peer of a test as a process of its own, talked to by lines. It ends when we close its
/// standard input, also when the test itself dies.
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <vector>

namespace sluice::test {

class ChildProcess {
  public:
    explicit ChildProcess(const std::vector<std::string>& command);
    ~ChildProcess();
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    /// The next line of its standard output, without the newline; none when it has ended or time is up.
    std::optional<std::string> read_line(std::chrono::milliseconds timeout);
    void write_line(const std::string& line);
    /// Sends a command and returns its answer; empty when there is none.
    std::string ask(const std::string& line, std::chrono::milliseconds timeout = std::chrono::seconds(60));
    void send_signal(int signal);

  private:
    int pid_ = -1;
    int in_ = -1;   ///< its standard input
    int out_ = -1;  ///< its standard output
    std::string buffer_;
};

}  // namespace sluice::test
