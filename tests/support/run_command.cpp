#include "tests/support/run_command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "base/check.hpp"

namespace sluice::test {
namespace {

using Steady = std::chrono::steady_clock;

pid_t start(const std::vector<std::string>& command, int out, int err) {
    std::vector<char*> argv;
    for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    CHECK(pid >= 0);
    if (pid != 0) return pid;
    // A test that crashes must not leave anything behind.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(126);
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
}

/// Reads both ends until they close; false when time was up first.
bool read_both(std::array<pollfd, 2>& ends, std::array<std::string*, 2> texts, Steady::time_point deadline) {
    while (ends[0].fd >= 0 || ends[1].fd >= 0) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Steady::now()).count();
        if (left <= 0) return false;
        if (::poll(ends.data(), ends.size(), static_cast<int>(left)) <= 0) continue;
        for (std::size_t i = 0; i < ends.size(); ++i) {
            if (ends[i].fd < 0 || ends[i].revents == 0) continue;
            std::array<char, 4096> block{};
            const auto got = ::read(ends[i].fd, block.data(), block.size());
            if (got > 0) texts[i]->append(block.data(), static_cast<std::size_t>(got));
            if (got == 0 || (got < 0 && errno != EINTR)) ends[i].fd = -1;
        }
    }
    return true;
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& command, std::chrono::milliseconds longest) {
    const auto deadline = Steady::now() + longest;
    std::array<int, 2> out{}, err{};
    CHECK(::pipe2(out.data(), O_CLOEXEC) == 0 && ::pipe2(err.data(), O_CLOEXEC) == 0);
    const pid_t pid = start(command, out[1], err[1]);
    ::close(out[1]);
    ::close(err[1]);
    CommandResult result;
    std::array<pollfd, 2> ends{pollfd{out[0], POLLIN, 0}, pollfd{err[0], POLLIN, 0}};
    result.timed_out = !read_both(ends, {&result.out, &result.err}, deadline);
    if (result.timed_out) ::kill(pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    ::close(out[0]);
    ::close(err[0]);
    result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

}  // namespace sluice::test
