#pragma once
/// ActiveFile: one file that lines are appended to. Knows how much of it is on disk for certain, and takes
/// back the rest when something goes wrong.
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::file {

/// What the world did wrong, for the operator: one line.
struct Problem {
    std::string text;
    bool no_room = false;  ///< the file system is full
};
/// "cannot WHAT PATH: why", from errno.
Problem problem_of(std::string_view what, const std::string& path);

/// A file descriptor.
class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor();
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }
    bool is_open() const { return fd_ >= 0; }

  private:
    int fd_;
};

/// One thread. No other process writes to the file meanwhile.
class ActiveFile {
  public:
    /// Opens the file, or makes it with exactly these permissions. What is no whole line at its end is cut
    /// off: nobody was told that it was there. What was damaged otherwise is set aside in a file beside it.
    static Result<std::unique_ptr<ActiveFile>, Problem> open(std::string path, mode_t mode);
    /// undo().
    ~ActiveFile();
    ActiveFile(const ActiveFile&) = delete;
    ActiveFile& operator=(const ActiveFile&) = delete;

    /// Whether the path still leads to this file, and its length is ours.
    bool is_in_place() const;
    /// Into memory, and from there to the file when it has become much.
    Result<void, Problem> append(std::string_view line);
    /// All that was appended is on disk, for good, when this succeeds.
    Result<void, Problem> sync();
    /// Takes back all that was appended since the last sync() that succeeded.
    void undo();

    const std::string& path() const { return path_; }
    std::uint64_t bytes() const { return written_bytes_ + buffer_.size(); }
    bool is_new() const { return is_new_; }
    bool is_synced() const { return !dirty_ && buffer_.empty(); }
    /// When its first line was written, as well as that is known.
    Steady::time_point born() const { return born_; }
    Steady::time_point last_used() const { return last_used_; }

  private:
    ActiveFile(std::string path, int fd, bool is_new);
    Result<void, Problem> repair();
    Result<std::uint64_t, Problem> find_whole_bytes(bool& damaged) const;
    Result<void, Problem> write();

    const std::string path_;
    const Descriptor fd_;
    bool is_new_;
    std::uint64_t written_bytes_ = 0, synced_bytes_ = 0;
    bool dirty_ = false;  ///< something was written, perhaps in part, and not synced
    std::string buffer_;
    Steady::time_point born_{}, last_used_{};
};

}  // namespace sluice::bridge::file
