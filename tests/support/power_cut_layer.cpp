/// A library for LD_PRELOAD: notes what a process writes below $SLUICE_POWER_CUT_DATA and has not synced yet,
/// so that a test can take it back after a `kill -9`, as if the power had gone with it. Into
/// $SLUICE_POWER_CUT_LOG, a file per file, which fsync() and fdatasync() empty. Not for files that are mapped
/// (SQLite's index of the log, which it makes anew), nor for renames and new names.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/support/power_cut.hpp"

namespace {

using sluice::test::UnsyncedWrite;

constexpr int files_max = 65536;
int logs[files_max];  ///< by descriptor: its log + 1; 0: not ours

template <class Function>
Function* next(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

bool ends_with(const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

void note_open(int fd, const char* path, int flags) {
    const char* data = std::getenv("SLUICE_POWER_CUT_DATA");
    const char* log = std::getenv("SLUICE_POWER_CUT_LOG");
    if (!data || !log || fd < 0 || fd >= files_max || (flags & O_ACCMODE) == O_RDONLY) return;
    const std::string text = path;
    if (text.rfind(std::string(data) + "/", 0) != 0 || ends_with(text, "-shm") || ends_with(text, ".lock"))
        return;
    const std::string name = std::string(log) + "/" + text.substr(text.rfind('/') + 1);
    static const auto real_open = next<int(const char*, int, ...)>("open");
    const int kept = real_open(name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    logs[fd] = kept + 1;
}

int log_of(int fd) {
    return fd >= 0 && fd < files_max ? logs[fd] - 1 : -1;
}

std::uint64_t size_of(int fd) {
    struct stat info {};
    return ::fstat(fd, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

/// What stands there now, as far as the file reaches.
std::vector<char> bytes_at(int fd, std::uint64_t offset, std::size_t count) {
    std::vector<char> bytes(count);
    const ssize_t n = ::pread(fd, bytes.data(), count, static_cast<off_t>(offset));
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return bytes;
}

void note(int log, UnsyncedWrite head, const std::vector<char>& before, const void* after) {
    std::vector<char> record(sizeof head + before.size() + head.after_bytes);
    head.before_bytes = before.size();
    std::memcpy(record.data(), &head, sizeof head);
    if (!before.empty()) std::memcpy(record.data() + sizeof head, before.data(), before.size());
    if (head.after_bytes > 0)
        std::memcpy(record.data() + sizeof head + before.size(), after, head.after_bytes);
    static const auto real_write = next<ssize_t(int, const void*, size_t)>("write");
    if (real_write(log, record.data(), record.size()) != static_cast<ssize_t>(record.size())) ::abort();
}

void note_write(int fd, const void* data, std::size_t count, std::uint64_t offset) {
    const int log = log_of(fd);
    if (log < 0) return;
    note(log, {.offset = offset, .size_before = size_of(fd), .after_bytes = count},
         bytes_at(fd, offset, count), data);
}

void note_truncate(int fd, std::uint64_t size) {
    const int log = log_of(fd);
    if (log < 0) return;
    const std::uint64_t before = size_of(fd);
    note(log, {.offset = size, .size_before = before, .truncates = 1},
         before > size ? bytes_at(fd, size, before - size) : std::vector<char>{}, nullptr);
}

void note_sync(int fd) {
    if (log_of(fd) >= 0 && ::syscall(SYS_ftruncate, log_of(fd), 0) != 0) ::abort();
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list more;
        va_start(more, flags);
        mode = va_arg(more, mode_t);
        va_end(more);
    }
    static const auto real = next<int(const char*, int, ...)>("open");
    const int fd = real(path, flags, mode);
    note_open(fd, path, flags);
    return fd;
}
int open64(const char* path, int flags, ...) __attribute__((alias("open")));

int close(int fd) {
    static const auto real = next<int(int)>("close");
    if (log_of(fd) >= 0) {
        const int log = log_of(fd);
        logs[fd] = 0;
        real(log);
    }
    return real(fd);
}

ssize_t pwrite(int fd, const void* data, size_t count, off_t offset) {
    static const auto real = next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
    note_write(fd, data, count, static_cast<std::uint64_t>(offset));
    return real(fd, data, count, offset);
}
ssize_t pwrite64(int fd, const void* data, size_t count, off_t offset) __attribute__((alias("pwrite")));

int ftruncate(int fd, off_t size) {
    static const auto real = next<int(int, off_t)>("ftruncate");
    note_truncate(fd, static_cast<std::uint64_t>(size));
    return real(fd, size);
}
int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));

int fsync(int fd) {
    static const auto real = next<int(int)>("fsync");
    const int result = real(fd);
    if (result == 0) note_sync(fd);
    return result;
}

int fdatasync(int fd) {
    static const auto real = next<int(int)>("fdatasync");
    const int result = real(fd);
    if (result == 0) note_sync(fd);
    return result;
}

}  // extern "C"
