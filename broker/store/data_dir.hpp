#pragma once
/// The data directory: made, checked, and held by one broker at a time.
#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace sluice::store {

/// In the data directory: the store's file, and the lock.
constexpr const char* store_name = "sluice.db";
constexpr const char* lock_name = "sluice.lock";

/// Holds `sluice.lock` in the directory for as long as it lives; the file has our process id in it.
class DirLock {
  public:
    DirLock() = default;
    explicit DirLock(int fd) : fd_(fd) {}
    DirLock(DirLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    DirLock& operator=(DirLock&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~DirLock();

  private:
    int fd_ = -1;
};

/// Makes the directory (mode 0700) when it is missing and takes its lock. The error is one line that names
/// the directory and the reason.
Result<DirLock, std::string> take_data_dir(const std::string& dir);

/// Whether a broker holds that lock now. Takes nothing, makes nothing.
bool is_in_use(const std::string& dir);

/// Makes renames and new files in the directory durable.
void sync_dir(const std::string& dir);

/// What the file system has left for us; all of it when it does not say.
std::uint64_t room_in_dir(const std::string& dir);

/// A file whose blocks are really taken, to be given up when the disk is full.
bool make_reserve(const std::string& path, std::uint64_t bytes);
/// True when there was something to give up.
bool drop_reserve(const std::string& path);

}  // namespace sluice::store
