#include "bridge/kafka/command.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

namespace sluice::bridge::kafka {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// A running program: its own process group, its output in a pipe. Killed and reaped at the end of life.
class Child {
  public:
    Child() = default;
    ~Child() {
        if (pid_ > 0) {
            ::kill(-pid_, SIGKILL);  // what it has started too
            reap();
        }
        if (pidfd_ >= 0) ::close(pidfd_);
        if (out_ >= 0) ::close(out_);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// Zero, or an errno.
    int spawn(const std::vector<std::string>& command);
    int out() const { return out_; }
    int pidfd() const { return pidfd_; }
    /// Waits for its end; its status as waitpid() has it.
    int reap() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return status;
    }

  private:
    pid_t pid_ = -1;
    int pidfd_ = -1, out_ = -1;
};

int Child::spawn(const std::vector<std::string>& command) {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errno;
    out_ = ends[0];
    std::vector<char*> words;
    words.reserve(command.size() + 1);
    for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    // Our threads block or ignore signals that the program must be able to get.
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    int error = ::posix_spawnp(&pid_, words[0], &files, &attributes, words.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    ::close(ends[1]);
    if (error != 0) {
        pid_ = -1;
        return error;
    }
    pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));  // the header of glibc 2.36 is C only
    if (pidfd_ < 0) return errno;
    return ::fcntl(out_, F_SETFL, O_NONBLOCK) == 0 ? 0 : errno;
}

/// Takes what is in the pipe. False at its end.
bool read_output(int fd, std::string& text) {
    std::array<char, 4096> block{};
    for (;;) {
        const ssize_t got = ::read(fd, block.data(), block.size());
        if (got > 0) text.append(block.data(), static_cast<std::size_t>(got));
        if (got == 0) return false;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno == EAGAIN;
        if (text.size() > 1024UL * 1024) return true;  // the caller has a look at how much it is
    }
}

std::string status_text(int status) {
    if (WIFSIGNALED(status)) return fmt::format("the command was ended by signal {}", WTERMSIG(status));
    return fmt::format("the command ended with status {}", WEXITSTATUS(status));
}

}  // namespace

Result<std::string, std::string> run_command(const std::vector<std::string>& command, std::size_t bytes_max,
                                             std::chrono::milliseconds timeout, const StopSign& stop) {
    Child child;
    if (const int error = child.spawn(command); error != 0)
        return Err{fmt::format("the command cannot be run: {}", std::strerror(error))};
    const auto deadline = Steady::now() + timeout;
    std::string text;
    bool open = true;
    for (;;) {
        if (stop.stopped()) return Err{std::string("broken off")};
        const auto left = std::chrono::ceil<milliseconds>(deadline - Steady::now()).count();
        if (left <= 0) return Err{fmt::format("the command did not end within {} s", timeout.count() / 1000)};
        std::array<pollfd, 3> waiting{
            {{child.pidfd(), POLLIN, 0}, {stop.fd, POLLIN, 0}, {open ? child.out() : -1, POLLIN, 0}}};
        ::poll(waiting.data(), waiting.size(), static_cast<int>(left));
        std::uint64_t count = 0;
        if (waiting[1].revents != 0) [[maybe_unused]]
            const auto got = ::read(stop.fd, &count, sizeof count);
        // In this order: what it printed before its end is all there. What it left running may hold the pipe.
        const bool ended = waiting[0].revents != 0;
        if (open) open = read_output(child.out(), text);
        if (text.size() > bytes_max)
            return Err{fmt::format("the command prints more than {} KiB", bytes_max / 1024)};
        if (ended) break;
    }
    const int status = child.reap();
    if (status != 0) return Err{status_text(status)};
    return text;
}

}  // namespace sluice::bridge::kafka
