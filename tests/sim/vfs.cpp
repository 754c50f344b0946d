#include "tests/sim/vfs.hpp"

#include <sqlite3.h>

#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "tests/sim/disk.hpp"
#include "tests/sim/time.hpp"

namespace sluice::sim {
namespace {

/// Only one connection is open at a time, so locks are always free and the index of the log belongs to it.
struct Handle {
    Disk::File* file = nullptr;
    Disk::File own;  ///< a temporary file
    std::vector<std::unique_ptr<std::uint8_t[]>> index;
};

struct OpenFile {
    sqlite3_file base;
    Handle* handle;
};

Handle& handle_of(sqlite3_file* file) {
    return *reinterpret_cast<OpenFile*>(file)->handle;
}

int close_file(sqlite3_file* file) {
    delete reinterpret_cast<OpenFile*>(file)->handle;
    return SQLITE_OK;
}

int read_file(sqlite3_file* file, void* into, int size, sqlite3_int64 at) {
    const auto& bytes = handle_of(file).file->now;
    const auto from = static_cast<std::size_t>(at), wanted = static_cast<std::size_t>(size);
    const std::size_t there = from < bytes.size() ? std::min(wanted, bytes.size() - from) : 0;
    if (there > 0) std::memcpy(into, bytes.data() + from, there);
    if (there == wanted) return SQLITE_OK;
    std::memset(static_cast<std::uint8_t*>(into) + there, 0, wanted - there);
    return SQLITE_IOERR_SHORT_READ;
}

int write_file(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
    return Disk::get().write(*handle_of(file).file, bytes, static_cast<std::size_t>(size),
                             static_cast<std::size_t>(at));
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
    return Disk::get().truncate(*handle_of(file).file, static_cast<std::size_t>(size));
}

int sync_file(sqlite3_file* file, int /*flags*/) {
    return Disk::get().sync(*handle_of(file).file);
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
    *size = static_cast<sqlite3_int64>(handle_of(file).file->now.size());
    return SQLITE_OK;
}

int lock_file(sqlite3_file*, int) {
    return SQLITE_OK;
}

int is_reserved(sqlite3_file*, int* reserved) {
    *reserved = 0;
    return SQLITE_OK;
}

int control(sqlite3_file*, int, void*) {
    return SQLITE_NOTFOUND;
}

int sector_size(sqlite3_file*) {
    return 4096;  // as SQLite's own for Unix says
}

int characteristics(sqlite3_file*) {
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;  // likewise
}

int map_index(sqlite3_file* file, int region, int size, int extend, void volatile** into) {
    auto& index = handle_of(file).index;
    const auto wanted = static_cast<std::size_t>(region);
    *into = nullptr;
    if (wanted >= index.size()) {
        if (extend == 0) return SQLITE_OK;
        while (index.size() <= wanted)
            index.push_back(std::make_unique<std::uint8_t[]>(static_cast<std::size_t>(size)));
    }
    *into = index[wanted].get();
    return SQLITE_OK;
}

int lock_index(sqlite3_file*, int, int, int) {
    return SQLITE_OK;
}

void index_barrier(sqlite3_file*) {}

int unmap_index(sqlite3_file* file, int /*remove*/) {
    handle_of(file).index.clear();
    return SQLITE_OK;
}

constexpr sqlite3_io_methods methods = {
    2,          close_file,    read_file,   write_file, truncate_file, sync_file,       file_size,
    lock_file,  lock_file,     is_reserved, control,    sector_size,   characteristics, map_index,
    lock_index, index_barrier, unmap_index, nullptr,    nullptr};

int open_file(sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* flags_out) {
    auto* out = reinterpret_cast<OpenFile*>(file);
    out->base.pMethods = nullptr;
    auto handle = std::make_unique<Handle>();
    handle->file = path ? Disk::get().open(path, (flags & SQLITE_OPEN_CREATE) != 0) : &handle->own;
    if (!handle->file) return SQLITE_CANTOPEN;
    if (flags_out) *flags_out = flags;
    out->base.pMethods = &methods;
    out->handle = handle.release();
    return SQLITE_OK;
}

int delete_file(sqlite3_vfs*, const char* path, int sync_dir) {
    return Disk::get().remove(path, sync_dir != 0);
}

int access_file(sqlite3_vfs*, const char* path, int /*flags*/, int* result) {
    *result = Disk::get().exists(path) ? 1 : 0;
    return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* path, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", path);
    return SQLITE_OK;
}

int randomness(sqlite3_vfs*, int size, char* out) {
    for (int i = 0; i < size; ++i) out[i] = static_cast<char>(Disk::get().random().next());
    return size;
}

int pause(sqlite3_vfs*, int microseconds) {
    return microseconds;
}

int time_of_day(sqlite3_vfs*, sqlite3_int64* out) {
    *out = 212'667'552'000'000 + time_ms();  // some day, in milliseconds since SQLite's first one
    return SQLITE_OK;
}

int time_of_day_as_double(sqlite3_vfs* vfs, double* out) {
    sqlite3_int64 ms = 0;
    time_of_day(vfs, &ms);
    *out = static_cast<double>(ms) / 86'400'000.0;
    return SQLITE_OK;
}

int last_error(sqlite3_vfs*, int, char*) {
    return 0;
}

}  // namespace

void register_vfs() {
    static sqlite3_vfs vfs{};
    vfs.iVersion = 2;
    vfs.szOsFile = sizeof(OpenFile);
    vfs.mxPathname = 512;
    vfs.zName = "sim";
    vfs.xOpen = open_file;
    vfs.xDelete = delete_file;
    vfs.xAccess = access_file;
    vfs.xFullPathname = full_path;
    vfs.xRandomness = randomness;
    vfs.xSleep = pause;
    vfs.xCurrentTime = time_of_day_as_double;
    vfs.xCurrentTimeInt64 = time_of_day;
    vfs.xGetLastError = last_error;
    sqlite3_vfs_register(&vfs, 1);
}

}  // namespace sluice::sim
