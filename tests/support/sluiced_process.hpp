#pragma once
/// SluicedProcess: the real broker as a child of the test, with a settings file of its own. It tells by its
/// log when it serves and which ports it got, so tests need neither fixed ports nor pauses.
#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace sluice::test {

/// A folder that goes away with everything in it.
class TempFolder {
  public:
    TempFolder();
    ~TempFolder();
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

class SluicedProcess {
  public:
    static constexpr std::chrono::milliseconds patience{30'000};

    /// The settings file stands in `folder`, which exists and outlives this.
    explicit SluicedProcess(std::filesystem::path folder) : folder_(std::move(folder)) {}
    /// Kills it when it still runs.
    ~SluicedProcess();
    SluicedProcess(const SluicedProcess&) = delete;
    SluicedProcess& operator=(const SluicedProcess&) = delete;

    /// From the next start on the process writes "0" into this file (cgroup.procs) before it begins.
    void set_group(std::string processes_file) { group_ = std::move(processes_file); }
    /// Writes `config` to sluice.toml, starts the process and waits until it is ready. False: it ended before
    /// or did not come up in time; log() tells why. May be called again after the process has ended.
    bool start(const std::string& config, const std::vector<std::string>& more_arguments = {});
    /// Replaces the settings file of a running process, for a reload by signal(SIGHUP).
    void write_config(const std::string& config) const;

    /// Of the listeners in the order of the settings, as the log told them.
    std::uint16_t port(std::size_t listener = 0) const;
    /// 0: there is none.
    std::uint16_t admin_port() const;
    pid_t pid() const { return pid_; }
    bool running() const { return pid_ > 0; }

    void signal(int number) const;
    /// The status as waitpid() gives it, when it ends in time.
    std::optional<int> wait(std::chrono::milliseconds longest = patience);
    /// SIGKILL, and its end.
    void kill();
    /// SIGTERM; true when it ended with exit code 0.
    bool stop();

    /// All it has logged since the last start.
    std::string log() const;
    bool wait_for_log(const std::string& text, std::chrono::milliseconds longest = patience);

  private:
    void read_log(int descriptor);
    void note_ports();

    std::filesystem::path folder_;
    std::string group_;
    pid_t pid_ = -1;
    std::thread reader_;
    mutable std::mutex mutex_;
    std::condition_variable news_;
    std::string log_;
    bool log_ended_ = true;
    std::vector<std::uint16_t> ports_;
    std::uint16_t admin_port_ = 0;
};

}  // namespace sluice::test
