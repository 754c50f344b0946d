#include "tests/sim/disk.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tests/sim/vfs.hpp"

namespace sluice::sim {
namespace {

constexpr std::size_t sector_bytes = 512;

}  // namespace

Disk& Disk::get() {
    static Disk disk;
    return disk;
}

Disk::Disk() {
    register_vfs();
}

void Disk::reset(std::uint64_t seed) {
    files_.clear();
    random_ = Random(seed ^ 0xd15cULL);
    fault_ = Fault::none;
    ignores_syncs_ = false;
    steps_ = 0;
    revive();
    sqlite3_randomness(0, nullptr);  // its generator is the process' and begins anew
}

void Disk::revive() {
    dead_ = false;
    dies_after_ = 0;
    // The next process reads from the device what the system has forgotten to write.
    for (auto& [path, file] : files_) {
        if (!std::exchange(file.lost, false)) continue;
        file.now = file.safe;
        for (const Unsynced& change : file.unsynced) apply(file.now, change);
    }
}

bool Disk::ends_here() {
    ++steps_;
    if (dead_ || dies_after_ == 0 || --dies_after_ > 0) return false;
    return dead_ = true;
}

/// What the device says to a step that is not the process' last one.
bool Disk::refuses(bool grows, int& rc, int io_error) {
    if (dead_) {
        errno = EIO;
        rc = io_error;
    } else if (fault_ == Fault::no_space && grows) {
        errno = ENOSPC;
        rc = SQLITE_FULL;
    } else if (fault_ == Fault::io_error && random_.percent(70)) {
        errno = EIO;
        rc = io_error;
    } else {
        return false;
    }
    return true;
}

void Disk::apply(std::vector<std::uint8_t>& to, const Unsynced& change) {
    if (change.truncate) {
        to.resize(change.at);
        return;
    }
    if (to.size() < change.at + change.bytes.size()) to.resize(change.at + change.bytes.size());
    std::memcpy(to.data() + change.at, change.bytes.data(), change.bytes.size());
}

int Disk::write(File& file, const void* bytes, std::size_t size, std::size_t at) {
    const auto* first = static_cast<const std::uint8_t*>(bytes);
    int rc = SQLITE_OK;
    const bool last = ends_here();
    if (!last && refuses(at + size > file.now.size(), rc, SQLITE_IOERR_WRITE)) return rc;
    if (last) size = random_.below(size + 1);
    if (size > 0) {
        file.unsynced.push_back({at, {first, first + size}});
        apply(file.now, file.unsynced.back());
    }
    return last ? SQLITE_IOERR_WRITE : SQLITE_OK;
}

int Disk::truncate(File& file, std::size_t size) {
    int rc = SQLITE_OK;
    const bool last = ends_here();
    if (!last && refuses(false, rc, SQLITE_IOERR_TRUNCATE)) return rc;
    if (last && random_.one_in(2)) return SQLITE_IOERR_TRUNCATE;
    if (size < file.now.size()) {
        file.unsynced.push_back({.at = size, .bytes = {}, .truncate = true});
        apply(file.now, file.unsynced.back());
    }
    return last ? SQLITE_IOERR_TRUNCATE : SQLITE_OK;
}

int Disk::sync(File& file) {
    int rc = SQLITE_OK;
    const bool last = ends_here();
    if (last && random_.one_in(2)) return SQLITE_IOERR_FSYNC;
    if (!last && refuses(false, rc, SQLITE_IOERR_FSYNC)) {
        // What is lost now is lost in silence: the next fsync has nothing to do any more.
        if (!dead_) {
            for (Unsynced& change : file.unsynced)
                if (random_.one_in(2)) apply(file.safe, change);
            file.unsynced.clear();
            file.lost = true;
        }
        return rc;
    }
    if (ignores_syncs_) return SQLITE_OK;
    for (const Unsynced& change : file.unsynced) apply(file.safe, change);
    file.unsynced.clear();
    file.safely_there = true;
    // The folder goes with it.
    for (auto& [path, other] : files_)
        if (!other.there) other.safely_there = false;
    return last ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

Disk::File* Disk::open(const std::string& path, bool create) {
    File& file = files_[path];
    if (!file.there) {
        if (!create || dead_) return nullptr;
        file = File{};
        file.there = true;
    }
    return &file;
}

int Disk::remove(const std::string& path, bool sync_dir) {
    int rc = SQLITE_OK;
    const bool last = ends_here();
    if (last && random_.one_in(2)) return SQLITE_IOERR_DELETE;
    if (!last && refuses(false, rc, SQLITE_IOERR_DELETE)) return rc;
    const auto found = files_.find(path);
    if (found == files_.end() || !found->second.there) return SQLITE_IOERR_DELETE_NOENT;
    found->second.there = false;
    if (sync_dir) found->second.safely_there = false;
    return last ? SQLITE_IOERR_DELETE : SQLITE_OK;
}

bool Disk::exists(const std::string& path) const {
    const auto found = files_.find(path);
    return found != files_.end() && found->second.there;
}

void Disk::cut_power() {
    for (auto& [path, file] : files_) cut_power(file);
}

void Disk::cut_power(File& file) {
    const std::uint64_t kept_percent = random_.of({std::uint64_t{0}, std::uint64_t{50}, std::uint64_t{90}});
    bool any = false;
    for (const Unsynced& change : file.unsynced) {
        if (change.truncate) {
            if (random_.percent(kept_percent)) apply(file.safe, change);
            continue;
        }
        for (std::size_t from = 0; from < change.bytes.size();) {
            const std::size_t sector_end = ((change.at + from) / sector_bytes + 1) * sector_bytes;
            const std::size_t to = std::min(change.bytes.size(), sector_end - change.at);
            const auto begin = change.bytes.begin();
            if (random_.percent(kept_percent)) {
                apply(file.safe,
                      {change.at + from,
                       {begin + static_cast<std::ptrdiff_t>(from), begin + static_cast<std::ptrdiff_t>(to)}});
                any = true;
            }
            from = to;
        }
    }
    file.unsynced.clear();
    file.now = file.safe;
    file.there =
        file.there ? file.safely_there || any || random_.one_in(2) : file.safely_there && random_.one_in(2);
    file.safely_there = file.there;
    if (!file.there) file = File{};
}

}  // namespace sluice::sim
