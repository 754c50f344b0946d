#include "auth/password_edit.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>
#include <thread>

#include "auth/password_file.hpp"
#include "auth/saslprep.hpp"
#include "auth/text_file.hpp"

namespace sluice::auth {
namespace {

constexpr std::size_t mosquitto_salt_bytes = 12;

ByteBuffer random_salt(std::size_t bytes) {
    ByteBuffer salt(bytes);
    fill_random(salt);
    return salt;
}

/// What no kind of entry can have.
std::optional<std::string> judge_name(std::string_view name) {
    if (name.empty()) return "the user name is empty";
    if (name.find_first_of(":\r\n") != std::string_view::npos || name != trimmed(name) || name.front() == '#')
        return "the user name does not fit into a password file; expected no ':', no line break, no blank at "
               "its ends, no '#' at its beginning";
    return std::nullopt;
}

std::string_view name_of_line(std::string_view line) {
    return trimmed(line.substr(0, line.find(':')));
}

/// The text with each line replaced by what `change(line)` makes of it: nothing takes it away.
template <class Change>
std::string change_lines(std::string_view text, Change&& change) {
    std::string out;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::optional<std::string_view> line = change(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (!line) continue;
        out += *line;
        out += '\n';
    }
    return out;
}

bool is_comment(std::string_view line) {
    const std::string_view content = trimmed(line);
    return content.empty() || content.front() == '#';
}

/// 0, or errno.
int write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return ::fsync(fd) == 0 ? 0 : errno;
}

}  // namespace

Result<std::string, std::string> make_scram_entry(std::string_view name, std::string_view password,
                                                  std::uint32_t iterations) {
    if (const auto wrong = judge_name(name)) return Err{*wrong};
    if (saslprep(name) != name)
        return Err{
            std::string("the user name cannot be used with SCRAM; expected UTF-8 without control "
                        "characters and other than plain blanks (SASLprep, RFC 4013)")};
    if (iterations < ScramKeys::iterations_min || iterations > ScramKeys::iterations_max)
        return Err{fmt::format("the number of iterations is wrong; expected {} to {}",
                               ScramKeys::iterations_min, ScramKeys::iterations_max)};
    auto prepared = saslprep(password);
    if (!prepared || prepared->empty())
        return Err{
            std::string("the password cannot be used with SCRAM; expected UTF-8 without control "
                        "characters, not empty (SASLprep, RFC 4013)")};
    const auto keys = make_scram_keys(*prepared, random_salt(ScramKeys::salt_bytes_default), iterations);
    wipe(*prepared);
    if (!keys) return Err{std::string("out of memory")};
    return fmt::format("{}:{}", name, to_text(*keys));
}

Result<std::string, std::string> make_mosquitto_entry(std::string_view name, std::string_view password) {
    if (const auto wrong = judge_name(name)) return Err{*wrong};
    if (password.empty()) return Err{std::string("the password is empty")};
    const std::uint32_t iterations = PasswordHash{}.iterations;
    const ByteBuffer salt = random_salt(mosquitto_salt_bytes);
    const auto hash = pbkdf2_sha512(as_bytes(password), salt, iterations);
    if (!hash) return Err{std::string("out of memory")};
    return fmt::format("{}:$7${}${}${}", name, iterations, encode_base64(salt), encode_base64(*hash));
}

Result<std::string, std::string> with_entry(std::string_view text, std::string_view file,
                                            std::string_view entry) {
    if (const auto table = parse_passwords(text, file); !table) return Err{table.error()};
    bool placed = false;
    std::string out = change_lines(text, [&](std::string_view line) -> std::optional<std::string_view> {
        const bool same = !is_comment(line) && name_of_line(line) == name_of_line(entry);
        placed |= same;
        return same ? entry : line;
    });
    if (!placed) {
        out += entry;
        out += '\n';
    }
    return out;
}

Result<std::string, std::string> without_entry(std::string_view text, std::string_view file,
                                               std::string_view name) {
    if (const auto table = parse_passwords(text, file); !table) return Err{table.error()};
    bool found = false;
    std::string out = change_lines(text, [&](std::string_view line) {
        const bool same = !is_comment(line) && name_of_line(line) == name;
        found |= same;
        return same ? std::nullopt : std::optional(line);
    });
    if (!found) return Err{fmt::format("{}: there is no user `{}`", file, name)};
    return out;
}

namespace {

/// The file itself, where `given` is a link to it, so that the link stays one.
std::string real_path(const std::string& given) {
    std::error_code ignored;
    const auto real = std::filesystem::canonical(given, ignored);
    return real.empty() ? given : real.string();
}

/// The folder of a file, locked against everybody else who locks it so.
class FolderLock {
  public:
    FolderLock() = default;
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;
    ~FolderLock() {
        if (fd_ >= 0) ::close(fd_);
    }
    /// 0, or errno; EWOULDBLOCK: another holds it, and did for all of `patience`.
    int take(const std::string& file, std::chrono::milliseconds patience) {
        constexpr std::chrono::milliseconds look_again{20};
        const auto folder = std::filesystem::path(file).parent_path();
        fd_ = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd_ < 0) return errno;
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
            // Some network file systems cannot lock a folder; the file can be edited there all the same.
            if (errno == EBADF || errno == ENOLCK || errno == EOPNOTSUPP) return 0;
            if (errno != EWOULDBLOCK && errno != EINTR) return errno;
            if (std::chrono::steady_clock::now() >= deadline) return EWOULDBLOCK;
            std::this_thread::sleep_for(look_again);
        }
        return 0;
    }

  private:
    int fd_ = -1;
};

}  // namespace

Result<void, std::string> edit_password_file(const std::string& path, const PasswordEdit& edit,
                                             std::chrono::milliseconds patience) {
    FolderLock lock;
    const int error = lock.take(real_path(path), patience);
    if (error == EWOULDBLOCK)
        return Err{fmt::format("{}: another program is changing it, or holds a lock on its folder", path)};
    if (error != 0)
        return Err{fmt::format("{}: cannot be written: {}", path, std::generic_category().message(error))};
    std::error_code missing;
    std::string text;
    if (std::filesystem::exists(path, missing) || missing) {
        auto loaded = load_text_file(path);
        if (!loaded) return Err{loaded.error()};
        text = std::move(loaded).value();
    }
    const auto fresh = edit(text);
    return fresh ? save_password_file(path, *fresh) : Err{fresh.error()};
}

Result<void, std::string> save_password_file(const std::string& given, std::string_view text) {
    const std::string path = real_path(given);
    const auto failed = [&](int error) {
        return Err{fmt::format("{}: cannot be written: {}", given, std::generic_category().message(error))};
    };
    std::string fresh = path + ".XXXXXX";
    const int fd = ::mkostemp(fresh.data(), O_CLOEXEC);
    if (fd < 0) return failed(errno);
    struct stat old {};
    const bool exists = ::stat(path.c_str(), &old) == 0;
    int error = write_all(fd, text);
    // The owner first: a change of it takes mode bits away. Only root may give a file to others.
    if (exists && ::fchown(fd, old.st_uid, old.st_gid) != 0 && ::fchown(fd, -1, old.st_gid) != 0 &&
        errno != EPERM)
        error = errno;
    if (error == 0 && ::fchmod(fd, exists ? old.st_mode & 07777 : 0640) != 0) error = errno;
    ::close(fd);
    if (error == 0 && ::rename(fresh.c_str(), path.c_str()) != 0) error = errno;
    if (error != 0) {
        ::unlink(fresh.c_str());
        return failed(error);
    }
    if (const int unsure = sync_folder_of(path); unsure != 0) return failed(unsure);
    return {};
}

}  // namespace sluice::auth
