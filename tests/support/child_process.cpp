#include "tests/support/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <thread>

extern char** environ;

namespace sluice::test {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

ChildProcess::ChildProcess(const std::vector<std::string>& command) {
    std::array<int, 2> to{}, from{};
    if (::pipe2(to.data(), O_CLOEXEC) != 0 || ::pipe2(from.data(), O_CLOEXEC) != 0)
        throw std::runtime_error("pipe2");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
    std::vector<char*> argv;
    for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const int error = ::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(to[0]);
    ::close(from[1]);
    in_ = to[1];
    out_ = from[0];
    if (error != 0) throw std::runtime_error("cannot start " + command.front());
    std::signal(SIGPIPE, SIG_IGN);
}

ChildProcess::~ChildProcess() {
    ::close(in_);
    send_signal(SIGCONT);  // it may have been frozen
    const auto deadline = Steady::now() + std::chrono::seconds(30);
    while (::waitpid(pid_, nullptr, WNOHANG) == 0) {
        if (Steady::now() > deadline) {
            send_signal(SIGKILL);
            ::waitpid(pid_, nullptr, 0);
            break;
        }
        std::this_thread::sleep_for(milliseconds(5));
    }
    ::close(out_);
}

std::optional<std::string> ChildProcess::read_line(milliseconds timeout) {
    const auto deadline = Steady::now() + timeout;
    for (;;) {
        if (const auto end = buffer_.find('\n'); end != std::string::npos) {
            std::string line = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            return line;
        }
        const auto left = std::chrono::ceil<milliseconds>(deadline - Steady::now()).count();
        pollfd waiting{out_, POLLIN, 0};
        if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) <= 0) return std::nullopt;
        std::array<char, 4096> chunk{};
        const auto got = ::read(out_, chunk.data(), chunk.size());
        if (got <= 0) return std::nullopt;
        buffer_.append(chunk.data(), static_cast<std::size_t>(got));
    }
}

void ChildProcess::write_line(const std::string& line) {
    const std::string text = line + "\n";
    [[maybe_unused]] const auto put = ::write(in_, text.data(), text.size());
}

std::string ChildProcess::ask(const std::string& line, milliseconds timeout) {
    write_line(line);
    return read_line(timeout).value_or("");
}

void ChildProcess::send_signal(int signal) {
    ::kill(pid_, signal);
}

}  // namespace sluice::test
