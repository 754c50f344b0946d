#include "app/secret.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "app/config_value.hpp"

namespace sluice::app {
namespace {

constexpr std::size_t secret_bytes_max = 64 * 1024;

struct File {
    int fd;
    ~File() {
        if (fd >= 0) ::close(fd);
    }
};

Result<std::string, std::string> secret_from_file(const std::string& path) {
    auto content = read_regular_file(path, secret_bytes_max);
    if (!content) return Err{fmt::format("cannot read the secret file {}: {}", path, content.error())};
    std::string secret = std::move(*content);
    if (secret.ends_with('\n')) secret.pop_back();
    if (secret.ends_with('\r')) secret.pop_back();
    if (secret.empty()) return Err{fmt::format("the secret file {} is empty", path)};
    return secret;
}

Result<std::string, std::string> secret_from_environment(const std::string& name) {
    const char* value = name.empty() ? nullptr : std::getenv(name.c_str());
    if (value == nullptr) return Err{fmt::format("the environment variable {} is not set", name)};
    if (*value == '\0') return Err{fmt::format("the environment variable {} is empty", name)};
    return std::string(value);
}

}  // namespace

Result<std::string, std::string> read_regular_file(const std::string& path, std::size_t bytes_max) {
    // Not blocking: a FIFO without a writer must not hang the start.
    const File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    struct stat status {};
    if (file.fd < 0 || ::fstat(file.fd, &status) != 0) return Err{std::string(std::strerror(errno))};
    if (S_ISDIR(status.st_mode)) return Err{std::string("it is a folder")};
    if (!S_ISREG(status.st_mode)) return Err{std::string("it is not a regular file")};
    std::string content;
    char block[4096];
    for (;;) {
        const ssize_t got = ::read(file.fd, block, sizeof block);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return Err{std::string(std::strerror(errno))};
        if (got == 0) return content;
        content.append(block, static_cast<std::size_t>(got));
        if (content.size() > bytes_max)
            return Err{fmt::format("it is larger than {}", format_size(std::int64_t(bytes_max)))};
    }
}

Result<std::string, std::string> resolve_secret(std::string_view given, const std::string& folder) {
    if (given.starts_with("file:")) {
        const std::string path(given.substr(5));
        if (path.empty() || path.find('\0') != std::string::npos) {
            return Err{std::string("names no file after \"file:\"")};
        }
        return secret_from_file(resolve_path(path, folder));
    }
    if (given.starts_with("env:")) {
        const std::string name(given.substr(4));
        if (name.empty() || name.find('\0') != std::string::npos) {
            return Err{std::string("names no variable after \"env:\"")};
        }
        return secret_from_environment(name);
    }
    if (given.empty()) return Err{std::string("is empty")};
    return std::string(given);
}

}  // namespace sluice::app
