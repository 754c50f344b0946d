#include "auth/text_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "base/log.hpp"

namespace sluice::auth {
namespace {

constexpr std::string_view blanks = " \t\r";

std::string unreadable(const std::string& path, int error) {
    return fmt::format("{}: cannot be read: {}", path, std::generic_category().message(error));
}

}  // namespace

Result<std::string, std::string> load_text_file(const std::string& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
    if (!file) return Err{unreadable(path, errno)};
    std::string text;
    char piece[16384];
    while (const std::size_t bytes = std::fread(piece, 1, sizeof piece, file.get())) {
        text.append(piece, bytes);
        if (text.size() > file_bytes_max)
            return Err{fmt::format("{}: is too large; expected at most {} MiB", path, file_bytes_max >> 20)};
    }
    if (std::ferror(file.get())) return Err{unreadable(path, errno)};
    return text;
}

int sync_folder_of(const std::string& path) {
    const auto folder = std::filesystem::path(path).parent_path();
    const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    // EINVAL: a file system that has nothing to sync there.
    const int error = ::fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    ::close(fd);
    return error;
}

void warn_if_world_readable(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || (status.st_mode & S_IROTH) == 0) return;
    log::warn(fmt::format("auth: everybody on this machine can read {}; chmod o-r is advised", path));
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool LineReader::next(std::string_view& line) {
    while (!rest_.empty()) {
        const std::size_t end = rest_.find('\n');
        line = trimmed(rest_.substr(0, end));
        rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
        ++number_;
        if (!line.empty() && line.front() != '#') return true;
    }
    return false;
}

std::string_view cut_word(std::string_view& text) {
    const std::size_t end = std::min(text.find_first_of(blanks), text.size());
    const std::string_view word = text.substr(0, end);
    text = trimmed(text.substr(end));
    return word;
}

std::string at_line(std::string_view file, std::size_t line, std::string_view problem) {
    return fmt::format("{}:{}: {}", file, line, problem);
}

}  // namespace sluice::auth
