#include "bridge/file/active_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

#include "base/log.hpp"
#include "bridge/file/file_name.hpp"
#include "bridge/file/json_line.hpp"

namespace sluice::bridge::file {
namespace {

constexpr std::size_t buffer_bytes_max = 256UL * 1024;
constexpr std::size_t block_bytes = 64UL * 1024;
/// What one power cut may have damaged: more than what is ever written without a sync, but for a giant line.
constexpr std::uint64_t check_bytes = 16ULL * 1024 * 1024;

WallTime wall_now() {
    return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}

/// Where the first line begins behind `offset`; 0, where every file begins with one, when none does.
Result<std::uint64_t, Problem> first_line_behind(int fd, const std::string& path, std::uint64_t offset) {
    std::vector<char> block(block_bytes);
    while (true) {
        const ssize_t got = ::pread(fd, block.data(), block.size(), static_cast<off_t>(offset));
        if (got < 0) return Err{problem_of("read", path)};
        if (got == 0) return std::uint64_t{0};
        const auto end = block.begin() + got;
        if (const auto found = std::find(block.begin(), end, '\n'); found != end)
            return offset + static_cast<std::uint64_t>(found - block.begin()) + 1;
        offset += static_cast<std::uint64_t>(got);
    }
}

Result<void, Problem> write_all(int fd, const std::string& path, std::string_view bytes, std::uint64_t at) {
    while (!bytes.empty()) {
        const ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return Err{problem_of("write", path)};
        bytes.remove_prefix(static_cast<std::size_t>(put));
        at += static_cast<std::uint64_t>(put);
    }
    return {};
}

/// Copies what stands behind `offset` into a file of its own.
Result<void, Problem> set_aside(int from, const std::string& path, std::uint64_t offset) {
    const std::string name = fmt::format("{}.damaged-{}", path, compact_time(wall_now()));
    const Descriptor to(::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!to.is_open()) return Err{problem_of("open", name)};
    std::vector<char> block(block_bytes);
    for (std::uint64_t copied = 0;;) {
        const ssize_t got = ::pread(from, block.data(), block.size(), static_cast<off_t>(offset + copied));
        if (got < 0) return Err{problem_of("read", path)};
        if (got == 0) break;
        const auto size = static_cast<std::size_t>(got);
        if (auto put = write_all(to.get(), name, {block.data(), size}, copied); !put) return put;
        copied += size;
    }
    if (::fsync(to.get()) != 0) return Err{problem_of("sync", name)};
    log::error(fmt::format("file: damaged lines set aside file={} into={}", path, name));
    return {};
}

/// How long ago the file was made; zero where the file system does not tell.
std::chrono::milliseconds age_of(int fd) {
    struct statx info {};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &info) != 0 || (info.stx_mask & STATX_BTIME) == 0)
        return {};
    const WallTime made{std::chrono::seconds(info.stx_btime.tv_sec)};
    return std::max(wall_now() - made, std::chrono::milliseconds(0));
}

}  // namespace

Problem problem_of(std::string_view what, const std::string& path) {
    const int error = errno;
    return {fmt::format("cannot {} {}: {}", what, path, std::generic_category().message(error)),
            error == ENOSPC || error == EDQUOT};
}

Descriptor::~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
}

ActiveFile::ActiveFile(std::string path, int fd, bool is_new)
    : path_(std::move(path)), fd_(fd), is_new_(is_new) {}

ActiveFile::~ActiveFile() {
    undo();
}

Result<std::unique_ptr<ActiveFile>, Problem> ActiveFile::open(std::string path, mode_t mode) {
    // A link may lead anywhere; a pipe that nobody reads would hold us up for ever.
    constexpr int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = ::open(path.c_str(), flags | O_CREAT | O_EXCL, mode);
    const bool is_new = fd >= 0;
    if (is_new) {
        ::fchmod(fd, mode);  // past the umask; some file systems have no permissions, and that is all right
    } else if (errno == EEXIST) {
        fd = ::open(path.c_str(), flags);
    }
    if (fd < 0) return Err{problem_of("open", path)};
    std::unique_ptr<ActiveFile> file(new ActiveFile(std::move(path), fd, is_new));
    if (auto repaired = file->repair(); !repaired) return Err{repaired.error()};
    file->last_used_ = Steady::now();
    file->born_ = is_new ? file->last_used_ : file->last_used_ - age_of(fd);
    return file;
}

Result<void, Problem> ActiveFile::repair() {
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) return Err{problem_of("read", path_)};
    if (!S_ISREG(info.st_mode)) return Err{Problem{fmt::format("{} is no regular file", path_), false}};
    const auto size = static_cast<std::uint64_t>(info.st_size);
    written_bytes_ = synced_bytes_ = size;
    bool damaged = false;
    const auto whole = find_whole_bytes(damaged);
    if (!whole) return Err{whole.error()};
    if (*whole == size) return {};
    if (damaged) {
        if (auto kept = set_aside(fd_.get(), path_, *whole); !kept) return kept;
    }
    if (::ftruncate(fd_.get(), static_cast<off_t>(*whole)) != 0 || ::fdatasync(fd_.get()) != 0)
        return Err{problem_of("cut", path_)};
    log::warn(fmt::format("file: cut off what was no whole line file={} bytes={}", path_, size - *whole));
    written_bytes_ = synced_bytes_ = *whole;
    return {};
}

Result<std::uint64_t, Problem> ActiveFile::find_whole_bytes(bool& damaged) const {
    std::uint64_t begin = 0;
    if (written_bytes_ > check_bytes) {
        const auto found = first_line_behind(fd_.get(), path_, written_bytes_ - check_bytes);
        if (!found) return found;
        begin = *found;
    }
    LineCheck check;
    std::vector<char> block(block_bytes);
    for (std::uint64_t at = begin; !check.damaged();) {
        const ssize_t got = ::pread(fd_.get(), block.data(), block.size(), static_cast<off_t>(at));
        if (got < 0) return Err{problem_of("read", path_)};
        if (got == 0) break;
        check.feed({block.data(), static_cast<std::size_t>(got)});
        at += static_cast<std::uint64_t>(got);
    }
    damaged = check.damaged();
    return begin + check.whole_bytes();
}

bool ActiveFile::is_in_place() const {
    struct stat there {};
    struct stat ours {};
    return ::lstat(path_.c_str(), &there) == 0 && ::fstat(fd_.get(), &ours) == 0 &&
           there.st_dev == ours.st_dev && there.st_ino == ours.st_ino &&
           static_cast<std::uint64_t>(ours.st_size) == written_bytes_;
}

Result<void, Problem> ActiveFile::append(std::string_view line) {
    last_used_ = Steady::now();
    if (bytes() == 0) born_ = last_used_;
    buffer_ += line;
    if (buffer_.size() < buffer_bytes_max) return {};
    return write();
}

Result<void, Problem> ActiveFile::write() {
    if (buffer_.empty()) return {};
    dirty_ = true;
    if (auto put = write_all(fd_.get(), path_, buffer_, written_bytes_); !put) return put;
    written_bytes_ += buffer_.size();
    buffer_.clear();
    if (buffer_.capacity() > 4 * buffer_bytes_max) buffer_.shrink_to_fit();
    return {};
}

Result<void, Problem> ActiveFile::sync() {
    if (auto put = write(); !put) return put;
    if (!dirty_) return {};
    if (::fdatasync(fd_.get()) != 0) return Err{problem_of("sync", path_)};
    synced_bytes_ = written_bytes_;
    dirty_ = false;
    return {};
}

void ActiveFile::undo() {
    buffer_.clear();
    if (!dirty_) return;
    // Synced too: what is written here next must not mix with this after a power cut.
    if (::ftruncate(fd_.get(), static_cast<off_t>(synced_bytes_)) != 0 || ::fdatasync(fd_.get()) != 0)
        log::warn(fmt::format("file: {}", problem_of("take back unsynced lines of", path_).text));
    written_bytes_ = synced_bytes_;
    dirty_ = false;
}

}  // namespace sluice::bridge::file
