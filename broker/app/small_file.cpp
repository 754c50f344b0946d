#include "app/small_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace sluice::app {

int write_small_file(const std::string& path, const std::string& text) {
    const std::string fresh = path + ".new";
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) return errno;
    int error = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : EIO;
    if (error == 0 && ::fsync(fd) != 0) error = errno;
    ::close(fd);
    if (error == 0 && ::rename(fresh.c_str(), path.c_str()) != 0) error = errno;
    return error;
}

}  // namespace sluice::app
