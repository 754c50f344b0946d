#include "store/data_dir.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace sluice::store {
namespace {

Err<std::string> failed(const std::string& what, int error) {
    return Err{fmt::format("{}: {}", what, std::strerror(error))};
}

Result<void, std::string> make_dir(const std::string& dir) {
    struct stat info {};
    if (::stat(dir.c_str(), &info) == 0) {
        if (!S_ISDIR(info.st_mode)) return Err{dir + " is not a directory"};
        return {};
    }
    const int error = errno;
    if (error != ENOENT) return failed(dir + " cannot be opened", error);
    std::error_code code;
    const auto parent = std::filesystem::path(dir).parent_path();
    if (!parent.empty()) std::filesystem::create_directories(parent, code);
    if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) return failed(dir + " cannot be made", errno);
    return {};
}

std::string owner_of(int fd) {
    char text[32] = {};
    const auto n = ::pread(fd, text, sizeof text - 1, 0);
    std::string_view view(text, n > 0 ? static_cast<std::size_t>(n) : 0);
    view = view.substr(0, view.find_first_not_of("0123456789"));
    return view.empty() ? "unknown" : std::string(view);
}

/// Looked at before it is tried: where the file system cannot allocate, posix_fallocate() writes, and on a
/// full disk it is tried every few seconds.
bool fits(int fd, std::uint64_t bytes) {
    struct stat file {};
    struct statvfs disk {};
    if (::fstat(fd, &file) != 0 || ::fstatvfs(fd, &disk) != 0) return true;
    return disk.f_bavail * disk.f_frsize + static_cast<std::uint64_t>(file.st_size) >= bytes;
}

}  // namespace

DirLock::~DirLock() {
    if (fd_ >= 0) ::close(fd_);
}

Result<DirLock, std::string> take_data_dir(const std::string& given) {
    const std::string dir = std::filesystem::path(given + "/").parent_path().string();
    if (auto made = make_dir(dir); !made) return Err{made.error()};
    if (::access(dir.c_str(), W_OK | X_OK) != 0)
        return failed(fmt::format("{} is not writable by uid {}", dir, ::geteuid()), errno);
    const int fd = ::open((dir + "/" + lock_name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return failed(fmt::format("{} is not writable by uid {}", dir, ::geteuid()), errno);
    DirLock lock(fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return failed(dir + "/sluice.lock cannot be locked", errno);
        return Err{fmt::format("{} is in use by another broker (pid {})", dir, owner_of(fd))};
    }
    const std::string pid = fmt::format("{}\n", ::getpid());
    // Only for the reader of the message above; the lock itself needs no content.
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0) errno = 0;
    return lock;
}

bool is_in_use(const std::string& dir) {
    const int fd = ::open((dir + "/" + lock_name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return false;
    const bool taken = ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    ::close(fd);
    return taken;
}

void sync_dir(const std::string& dir) {
    const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    ::fsync(fd);
    ::close(fd);
}

std::uint64_t room_in_dir(const std::string& dir) {
    struct statvfs info {};
    if (::statvfs(dir.c_str(), &info) != 0) return UINT64_MAX;
    return std::uint64_t{info.f_bavail} * info.f_frsize;
}

bool make_reserve(const std::string& path, std::uint64_t bytes) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return false;
    const bool made = fits(fd, bytes) && ::posix_fallocate(fd, 0, static_cast<off_t>(bytes)) == 0;
    ::close(fd);
    if (!made) ::unlink(path.c_str());
    return made;
}

bool drop_reserve(const std::string& path) {
    return ::unlink(path.c_str()) == 0;
}

}  // namespace sluice::store
