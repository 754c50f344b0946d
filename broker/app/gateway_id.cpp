#include "app/gateway_id.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/log.hpp"

namespace sluice::app {
namespace {

constexpr std::size_t id_bytes = 16;

bool is_gateway_id(const std::string& text) {
    return text.size() == id_bytes && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// 0, or an errno. Whole and on disk, or not there at all.
int keep(const std::string& path, const std::string& id) {
    const std::string fresh = path + ".new";
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) return errno;
    const std::string text = id + '\n';
    int error = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : EIO;
    if (error == 0 && ::fsync(fd) != 0) error = errno;
    ::close(fd);
    if (error == 0 && ::rename(fresh.c_str(), path.c_str()) != 0) error = errno;
    return error;
}

}  // namespace

std::string make_gateway_id() {
    std::uint64_t bits = 0;
    CHECK(::getrandom(&bits, sizeof bits, 0) == sizeof bits);
    return fmt::format("{:016x}", bits);
}

std::string load_gateway_id(const std::string& data_dir) {
    const std::string path = data_dir + "/gateway.id";
    std::string id;
    std::ifstream(path) >> id;
    if (is_gateway_id(id)) return id;
    if (!id.empty()) log::error(fmt::format("{}: is not 16 hexadecimal digits; a new one is made", path));
    id = make_gateway_id();
    if (const int error = keep(path, id); error != 0)
        log::warn(fmt::format("{}: cannot be written: {}; this life has a name of its own", path,
                              std::strerror(error)));
    return id;
}

}  // namespace sluice::app
