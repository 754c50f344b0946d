#include "tests/support/sluiced_process.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/check.hpp"

namespace sluice::test {
namespace {

/// SLUICED in the environment names another build's binary.
std::string binary() {
    const char* given = std::getenv("SLUICED");
    return given ? given : SLUICE_BINARY_DIR "/bin/sluiced";
}

/// The number behind the last ':' of a log line.
std::uint16_t port_at_end(const std::string& line) {
    const std::size_t colon = line.rfind(':');
    std::uint16_t port = 0;
    if (colon != line.npos) std::from_chars(line.data() + colon + 1, line.data() + line.size(), port);
    return port;
}

}  // namespace

TempFolder::TempFolder() {
    std::string name = std::filesystem::temp_directory_path() / "sluice-test-XXXXXX";
    CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
}

TempFolder::~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

SluicedProcess::~SluicedProcess() {
    kill();
    if (reader_.joinable()) reader_.join();
}

void SluicedProcess::write_config(const std::string& config) const {
    std::ofstream(folder_ / "sluice.toml") << config;
}

bool SluicedProcess::start(const std::string& config, const std::vector<std::string>& more_arguments) {
    CHECK(!running());
    write_config(config);
    if (reader_.joinable()) reader_.join();
    log_.clear();
    log_ended_ = false;
    ports_.clear();
    admin_port_ = 0;

    const std::string program = binary();
    const std::string path = folder_ / "sluice.toml";
    std::vector<const char*> argv{program.c_str(), "--config", path.c_str()};
    for (const std::string& argument : more_arguments) argv.push_back(argument.c_str());
    argv.push_back(nullptr);
    int ends[2];
    CHECK(::pipe2(ends, O_CLOEXEC) == 0);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    CHECK(pid_ >= 0);
    if (pid_ == 0) {
        // A test that crashes must not leave a broker behind.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(126);
        if (!group_.empty()) {
            const int group = ::open(group_.c_str(), O_WRONLY | O_CLOEXEC);
            if (::write(group, "0", 1) != 1) ::_exit(125);
        }
        ::dup2(ends[1], STDOUT_FILENO);
        ::dup2(ends[1], STDERR_FILENO);
        ::execv(program.c_str(), const_cast<char* const*>(argv.data()));
        ::_exit(127);
    }
    ::close(ends[1]);
    reader_ = std::thread([this, end = ends[0]] { read_log(end); });
    if (wait_for_log(" ready\n")) {
        note_ports();
        return true;
    }
    kill();
    return false;
}

void SluicedProcess::read_log(int descriptor) {
    char block[4096];
    while (true) {
        const ssize_t count = ::read(descriptor, block, sizeof block);
        if (count < 0 && errno == EINTR) continue;
        const std::lock_guard lock(mutex_);
        if (count > 0) log_.append(block, static_cast<std::size_t>(count));
        log_ended_ = count <= 0;
        news_.notify_all();
        if (log_ended_) break;
    }
    ::close(descriptor);
}

void SluicedProcess::note_ports() {
    std::istringstream lines(log());
    for (std::string line; std::getline(lines, line);) {
        if (line.find(" listener ") != line.npos && line.find(" on ") != line.npos) {
            ports_.push_back(port_at_end(line));
        } else if (line.find("admin: http on ") != line.npos) {
            admin_port_ = port_at_end(line);
        }
    }
}

std::uint16_t SluicedProcess::port(std::size_t listener) const {
    CHECK(listener < ports_.size());
    return ports_[listener];
}

std::uint16_t SluicedProcess::admin_port() const {
    return admin_port_;
}

void SluicedProcess::signal(int number) const {
    if (running()) ::kill(pid_, number);
}

std::optional<int> SluicedProcess::wait(std::chrono::milliseconds longest) {
    if (!running()) return std::nullopt;
    const auto deadline = std::chrono::steady_clock::now() + longest;
    while (true) {
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) == pid_) {
            pid_ = -1;
            return status;
        }
        if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
        // The log ends with the process; that wakes us earlier than the next look.
        std::unique_lock lock(mutex_);
        news_.wait_for(lock, std::chrono::milliseconds(log_ended_ ? 1 : 20));
    }
}

void SluicedProcess::kill() {
    if (!running()) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
}

bool SluicedProcess::stop() {
    signal(SIGTERM);
    const auto status = wait();
    return status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0;
}

std::string SluicedProcess::log() const {
    const std::lock_guard lock(mutex_);
    return log_;
}

bool SluicedProcess::wait_for_log(const std::string& text, std::chrono::milliseconds longest) {
    std::unique_lock lock(mutex_);
    news_.wait_for(lock, longest, [&] { return log_ended_ || log_.find(text) != log_.npos; });
    return log_.find(text) != log_.npos;
}

}  // namespace sluice::test
