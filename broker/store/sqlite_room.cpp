/// SqliteBackend: how much of the disk the file takes, and what is kept for the time when there is none left.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "store/sqlite_backend.hpp"
#include "store/sqlite_schema.hpp"

namespace sluice::store {
namespace {

/// Pages above the limit that only a group which frees more than it adds may use.
constexpr std::uint64_t drain_pages = 256;
constexpr std::uint64_t early_bytes_max = 16 << 20;
using Steady = std::chrono::steady_clock;

}  // namespace

/// While the reserve is missing, or others would be left too little, the file may use what is free in it, but
/// not grow: a file that grew into the last free blocks could not have its log written back, and then not
/// even be drained.
int SqliteBackend::set_page_limit(bool drains) {
    std::uint64_t pages = settings_.disk.bytes_max / page_bytes, now = 0;
    if (reserve_missing() || short_of_room_) {
        if (const int rc = db_.query("PRAGMA page_count", now); rc != SQLITE_OK) return rc;
        pages = std::min(pages, std::max(now, growth_limit_));
    }
    if (drains) pages += drain_pages;
    if (pages == page_limit_) return SQLITE_OK;
    const int rc = db_.query(fmt::format("PRAGMA max_page_count={}", pages), now);
    if (rc == SQLITE_OK) page_limit_ = pages;
    return rc;
}

void SqliteBackend::keep_reserve() {
    if (!reserve_missing() || Steady::now() < reserve_next_) return;
    reserve_next_ = Steady::now() + settings_.retry_pause;  // publishers wait until it is there again
    // Given up so that what had been sent has room: made again before others have theirs, it would be given
    // up for the next group, and so on.
    const std::uint64_t others = settings_.disk.free_min / 2;
    if (growth_limit_ > 0 && room_in_dir(settings_.data_dir) < others + settings_.reserve_bytes) return;
    reserve_there_ = make_reserve(path_in_dir(reserve_name), settings_.reserve_bytes);
    if (reserve_there_) growth_limit_ = 0;
}

void SqliteBackend::give_up_reserve() {
    drop_reserve(path_in_dir(reserve_name));
    reserve_there_ = false;
    reserve_next_ = Steady::now() + settings_.retry_pause;
}

/// Publishers wait a little before a limit is reached, so that there is room for what does not wait: the
/// messages that they have sent already, and the records of those who come to drain queues.
std::string SqliteBackend::pressure() {
    std::uint64_t pages = 0, free = 0;
    keep_reserve();
    if (db_.query("PRAGMA page_count", pages) != SQLITE_OK ||
        db_.query("PRAGMA freelist_count", free) != SQLITE_OK)
        return {};
    std::string problem =
        near_limit(pages - std::min(free, pages), room_in_dir(settings_.data_dir), pressed_);
    pressed_ = !problem.empty();
    return problem;
}

std::string SqliteBackend::near_limit(std::uint64_t pages_used, std::uint64_t disk_free,
                                      bool was_near) const {
    // What is near stays so until some more room is there, or publishers would be held and let go all the
    // time.
    const auto margin = [was_near](std::uint64_t limit) {
        const std::uint64_t early = std::min<std::uint64_t>(limit / 8, early_bytes_max);
        return was_near ? early * 2 : early;
    };
    const DiskSettings& disk = settings_.disk;
    if (disk_free < disk.free_min + margin(disk.free_min))
        return fmt::format(
            "{}: nearly less than {} bytes are free on its disk (store.free_min); publishers wait", path_,
            disk.free_min);
    if (reserve_missing())
        return fmt::format("{} has no room for its reserve of {} bytes; publishers wait", path_,
                           settings_.reserve_bytes);
    if (pages_used * page_bytes > disk.bytes_max - margin(disk.bytes_max))
        return fmt::format(
            "{} has nearly reached its limit of {} bytes (store.bytes_max); publishers wait until queues "
            "are drained",
            path_, disk.bytes_max);
    return {};
}

}  // namespace sluice::store
