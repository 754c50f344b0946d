#include "auth/decoy_secret.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "auth/text_file.hpp"

namespace sluice::auth {
namespace {

/// 0, or errno. ENODATA: there is no whole secret in it.
int read_secret(const std::string& path, Sha256& out) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return errno;
    const ssize_t bytes = ::read(fd, out.data(), out.size());
    const int error = bytes < 0 ? errno : 0;
    ::close(fd);
    if (error != 0) return error;
    return bytes == static_cast<ssize_t>(out.size()) ? 0 : ENODATA;
}

/// 0, or errno.
int write_secret(const std::string& path, const Sha256& secret) {
    // Whole or not at all: half a secret would be a new one after each crash.
    const std::string fresh = path + ".new";
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return errno;
    const bool written =
        ::write(fd, secret.data(), secret.size()) == static_cast<ssize_t>(secret.size()) && ::fsync(fd) == 0;
    int error = written ? 0 : errno;
    ::close(fd);
    if (error == 0 && ::rename(fresh.c_str(), path.c_str()) != 0) error = errno;
    if (error != 0) {
        ::unlink(fresh.c_str());
        return error;
    }
    return sync_folder_of(path);
}

}  // namespace

Result<void, std::string> DecoySecret::keep_in(const std::string& path) {
    const std::lock_guard lock(mutex_);
    Sha256 kept{};
    const int unread = read_secret(path, kept);
    if (unread == 0) {
        secret_ = kept;
        return {};
    }
    // One that is there and cannot be read now (rights, a fault of the disk) is not given up for good.
    if (unread != ENOENT && unread != ENODATA)
        return Err{
            fmt::format("{}: cannot be read: {}; until it can, what unknown users are shown is new after "
                        "each restart",
                        path, std::generic_category().message(unread))};
    if (const int error = write_secret(path, secret_); error != 0)
        return Err{fmt::format("{}: cannot be written: {}", path, std::generic_category().message(error))};
    return {};
}

Sha256 DecoySecret::derive(std::string_view use, std::string_view name) const {
    const std::lock_guard lock(mutex_);
    const auto made = hmac_sha256(secret_, as_bytes(use), as_bytes(name));
    return made.value_or(Sha256{});  // out of memory: the exchange fails a moment later anyway
}

}  // namespace sluice::auth
