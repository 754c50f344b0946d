#include "bridge/file/folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/log.hpp"
#include "bridge/file/file_name.hpp"

namespace sluice::bridge::file {
namespace {

WallTime wall_now() {
    return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}

}  // namespace

Folder::Folder(const FileSettings& settings, mode_t mode, std::string bridge_name, int fd)
    : settings_(settings), mode_(mode), bridge_name_(std::move(bridge_name)), fd_(fd) {}

Result<std::unique_ptr<Folder>, Problem> Folder::open(const FileSettings& settings, mode_t mode,
                                                      const std::string& bridge_name,
                                                      std::uint64_t room_bytes) {
    const int fd = ::open(settings.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return Err{problem_of("open the folder", settings.directory)};
    std::unique_ptr<Folder> folder(new Folder(settings, mode, bridge_name, fd));
    // Not every file system of a network has this lock; there the operator must see to it.
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return Err{
            Problem{fmt::format("the folder {} is in use by another bridge or process; expected one "
                                "for this bridge alone",
                                settings.directory)}};
    if (auto room = folder->check_room(room_bytes); !room) return Err{room.error()};
    std::deque<std::string> bases;
    auto ready = folder->scan(&bases);
    if (ready) ready = folder->adopt(bases);
    if (ready) ready = folder->remove_surplus();
    if (!ready) return Err{ready.error()};
    return folder;
}

std::string Folder::path_of(std::string_view name) const {
    return fmt::format("{}/{}", settings_.directory, name);
}

Result<void, Problem> Folder::check_place() const {
    struct stat there {};
    struct stat ours {};
    if (::stat(settings_.directory.c_str(), &there) != 0)
        return Err{problem_of("find the folder", settings_.directory)};
    if (::fstat(fd_.get(), &ours) != 0 || there.st_dev != ours.st_dev || there.st_ino != ours.st_ino)
        return Err{Problem{fmt::format("the folder {} is another one now", settings_.directory)}};
    return {};
}

/// Asked after a full disk, so that a bridge does not call itself connected with every attempt.
Result<void, Problem> Folder::check_room(std::uint64_t room_bytes) const {
    struct statvfs info {};
    if (room_bytes == 0 || ::fstatvfs(fd_.get(), &info) != 0) return {};
    if (static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize >= room_bytes) return {};
    errno = ENOSPC;
    return Err{problem_of("write into", settings_.directory)};
}

Result<void, Problem> Folder::scan(std::deque<std::string>* bases) {
    finished_.clear();
    finished_bytes_ = 0;
    std::vector<std::pair<std::filesystem::file_time_type, std::string>> unfinished;
    std::error_code error;
    for (std::filesystem::directory_iterator it(settings_.directory, error), end; !error && it != end;
         it.increment(error)) {
        const std::string name = it->path().filename().string();
        const auto parsed = parse_name(name);
        std::error_code gone;  // somebody may take files away meanwhile
        if (!parsed || it->symlink_status(gone).type() != std::filesystem::file_type::regular) continue;
        if (!parsed->number) {
            unfinished.emplace_back(it->last_write_time(gone), parsed->base);
            continue;
        }
        const auto bytes = it->file_size(gone);
        if (!gone) finished_.push_back({*parsed->number, name, bytes});
    }
    if (error) {
        return Err{
            Problem{fmt::format("cannot read the folder {}: {}", settings_.directory, error.message())}};
    }
    std::sort(finished_.begin(), finished_.end(), [](const Finished& a, const Finished& b) {
        return a.number != b.number ? a.number < b.number : a.name < b.name;
    });
    for (const Finished& file : finished_) finished_bytes_ += file.bytes;
    if (!finished_.empty()) last_number_ = std::max(last_number_, finished_.back().number);
    if (!bases) return {};
    std::sort(unfinished.begin(), unfinished.end());
    for (auto& [time, base] : unfinished) bases->push_back(std::move(base));
    return {};
}

/// Their ends are mended before somebody reads on, and they become old like those of this life.
Result<void, Problem> Folder::adopt(const std::deque<std::string>& bases) {
    for (const std::string& base : bases) {
        if (auto file = file_of(base); !file) return Err{file.error()};
    }
    return {};
}

Result<ActiveFile*, Problem> Folder::file_of(const std::string& base) {
    if (const auto found = active_.find(base); found != active_.end()) {
        // Looked at when a group of lines begins with it, not with each line.
        if (!found->second->is_synced() || found->second->is_in_place()) return found->second.get();
        log::info(fmt::format("file: begun anew, somebody has taken or changed it bridge={} file={}",
                              bridge_name_, found->second->path()));
        active_.erase(found);
    }
    if (active_.size() >= active_files_max) {
        const auto oldest = std::min_element(
            active_.begin(), active_.end(),
            [](const auto& a, const auto& b) { return a.second->last_used() < b.second->last_used(); });
        if (auto finished = finish(oldest); !finished) return Err{finished.error()};
    }
    auto opened = ActiveFile::open(path_of(active_name(base)), mode_);
    if (!opened) return Err{opened.error()};
    names_changed_ |= (*opened)->is_new();
    return (active_[base] = std::move(opened).value()).get();
}

Result<void, Problem> Folder::append(const std::string& base, std::string_view line) {
    auto file = file_of(base);
    if (!file) return Err{file.error()};
    if ((*file)->bytes() > 0 && (*file)->bytes() + line.size() > settings_.rotate_bytes) {
        if (auto finished = finish(active_.find(base)); !finished) return finished;
        file = file_of(base);
        if (!file) return Err{file.error()};
    }
    return (*file)->append(line);
}

Result<void, Problem> Folder::sync() {
    if (auto there = check_place(); !there) return there;
    for (auto& [base, file] : active_) {
        if (auto synced = file->sync(); !synced) return synced;
    }
    if (auto synced = sync_names(); !synced) return synced;
    return remove_surplus();
}

/// New and changed names outlive a power cut only when their folder is synced too.
Result<void, Problem> Folder::sync_names() {
    if (!names_changed_) return {};
    if (::fsync(fd_.get()) != 0 && errno != EINVAL) return Err{problem_of("sync", settings_.directory)};
    names_changed_ = false;
    return {};
}

Result<void, Problem> Folder::finish(ActiveFiles::iterator at) {
    ActiveFile& file = *at->second;
    if (auto synced = file.sync(); !synced) return synced;
    if (file.bytes() == 0) {  // a file without lines is of no use to anybody
        ::unlink(file.path().c_str());
        active_.erase(at);
        return {};
    }
    std::string name, path;
    do {  // nobody else makes such names, unless somebody copies files by hand
        name = finished_name(at->first, wall_now(), ++last_number_);
        path = path_of(name);
    } while (::faccessat(AT_FDCWD, path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0);
    if (::rename(file.path().c_str(), path.c_str()) != 0) return Err{problem_of("rename", file.path())};
    names_changed_ = true;
    log::debug(fmt::format("file: finished bridge={} file={} bytes={}", bridge_name_, name, file.bytes()));
    finished_bytes_ += file.bytes();
    finished_.push_back({last_number_, std::move(name), file.bytes()});
    active_.erase(at);
    return {};
}

bool Folder::has_surplus() const {
    if (settings_.files_max > 0 && finished_.size() > settings_.files_max) return true;
    if (settings_.files_bytes_max == 0) return false;
    std::uint64_t bytes = finished_bytes_;
    for (const auto& [base, file] : active_) bytes += file->bytes();
    return bytes > settings_.files_bytes_max && !finished_.empty();
}

Result<void, Problem> Folder::remove_surplus() {
    if (!has_surplus()) return {};
    // Whoever reads the files may have taken some away: then nothing more needs to go.
    if (auto scanned = scan(nullptr); !scanned) return scanned;
    while (has_surplus()) {
        const Finished& oldest = finished_.front();
        const std::string path = path_of(oldest.name);
        if (::unlink(path.c_str()) != 0 && errno != ENOENT) return Err{problem_of("remove", path)};
        log::info(
            fmt::format("file: removed the oldest one, there are more than may be bridge={} file={} "
                        "bytes={}",
                        bridge_name_, oldest.name, oldest.bytes));
        finished_bytes_ -= oldest.bytes;
        finished_.pop_front();
    }
    return {};
}

Steady::time_point Folder::wake_at() const {
    auto earliest = Steady::time_point::max();
    if (settings_.rotate_age.count() == 0) return earliest;
    for (const auto& [base, file] : active_)
        if (file->bytes() > 0) earliest = std::min(earliest, file->born() + settings_.rotate_age);
    return earliest;
}

Result<void, Problem> Folder::tick() {
    if (auto there = check_place(); !there) return there;
    const auto now = Steady::now();
    if (wake_at() > now) return {};
    for (auto it = active_.begin(); it != active_.end();) {
        const auto at = it++;
        if (at->second->bytes() == 0 || at->second->born() + settings_.rotate_age > now) continue;
        if (!at->second->is_in_place()) {
            active_.erase(at);  // somebody has finished it already
        } else if (auto finished = finish(at); !finished) {
            return finished;
        }
    }
    if (auto synced = sync_names(); !synced) return synced;
    return remove_surplus();
}

}  // namespace sluice::bridge::file
