#include "bridge/kafka/token.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/check.hpp"

namespace sluice::bridge::kafka {
namespace {

constexpr std::size_t token_bytes_max = 64UL * 1024;
constexpr std::chrono::hours opaque_life{1};
constexpr std::chrono::milliseconds look_every{1000};

WallTime wall_now() {
    return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}

/// RFC 6750: b64token.
bool is_token_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~' || c == '+' || c == '/' || c == '=';
}

std::string_view trim(std::string_view text) {
    constexpr std::string_view space = " \t\r\n";
    const auto begin = text.find_first_not_of(space);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

/// base64url without padding, as the parts of a JWT have it.
std::optional<std::string> decode_base64url(std::string_view text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const auto digit = digits.find(c);
        if (digit == std::string_view::npos) return {};
        bits = (bits << 6) | static_cast<std::uint32_t>(digit);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        out += static_cast<char>((bits >> count) & 0xff);
    }
    return out;
}

/// The claims of a JWT; null when the token is none.
nlohmann::json claims_of(std::string_view token) {
    const auto first = token.find('.');
    const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
    if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) return {};
    const auto text = decode_base64url(token.substr(first + 1, second - first - 1));
    if (!text) return {};
    auto claims = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
    return claims.is_object() ? claims : nlohmann::json();
}

Result<std::string, std::string> read_token_file(const std::string& path) {
    // Not blocking: a FIFO without a writer must not hang us.
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return Err{std::string(std::strerror(errno))};
    struct stat status {};
    std::string problem = ::fstat(fd, &status) != 0  ? std::strerror(errno)
                          : !S_ISREG(status.st_mode) ? "it is not a regular file"
                                                     : "";
    std::string content(token_bytes_max + 1, '\0');
    std::size_t size = 0;
    while (problem.empty() && size < content.size()) {
        const ssize_t got = ::read(fd, content.data() + size, content.size() - size);
        if (got == 0) break;
        if (got > 0) size += static_cast<std::size_t>(got);
        if (got < 0 && errno != EINTR) problem = std::strerror(errno);
    }
    ::close(fd);
    if (problem.empty() && size > token_bytes_max) problem = "it is larger than 64 KiB";
    if (!problem.empty()) return Err{std::move(problem)};
    content.resize(size);
    return content;
}

/// What changes when the file is written or replaced; empty when there is none.
std::string state_of(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return {};
    return fmt::format("{} {} {} {}.{}", status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
                       status.st_mtim.tv_nsec);
}

}  // namespace

std::string TokenSource::name() const {
    return file.empty() ? "token_command " + command.front() : "token_file " + file;
}

Result<Token, std::string> parse_token(std::string_view text, WallTime now) {
    const std::string_view value = trim(text);
    if (value.empty()) return Err{std::string("there is no token")};
    if (!std::all_of(value.begin(), value.end(), is_token_char))
        return Err{
            std::string("that is no token: it has other characters than letters, digits and "
                        "\"-._~+/=\"; expected the token alone")};
    Token token{std::string(value), now + opaque_life, "token"};
    const auto claims = claims_of(value);
    if (const auto sub = claims.find("sub"); sub != claims.end() && sub->is_string())
        token.principal = sub->get<std::string>();
    if (const auto exp = claims.find("exp"); exp != claims.end() && exp->is_number()) {
        // Bounds of what a JSON number may say, long before those of the clock.
        const double seconds = std::clamp(exp->get<double>(), 0.0, 1e11);
        token.expires = WallTime(Millis(static_cast<std::int64_t>(seconds * 1000)));
        if (token.expires <= now)
            return Err{
                fmt::format("the token has expired {} s ago (or the clock of this machine is wrong)",
                            std::chrono::duration_cast<std::chrono::seconds>(now - token.expires).count())};
    }
    return token;
}

Result<Token, std::string> fetch_token(const TokenSource& source, const StopSign& stop) {
    const auto text = source.file.empty()
                          ? run_command(source.command, token_bytes_max, source.command_timeout, stop)
                          : read_token_file(source.file);
    if (!text) return Err{fmt::format("{}: {}", source.name(), text.error())};
    auto token = parse_token(*text, wall_now());
    if (!token) return Err{fmt::format("{}: {}", source.name(), token.error())};
    return token;
}

std::string give_token(rd_kafka_t* handle, const Token& token) {
    std::array<char, 512> text{};
    const auto error =
        rd_kafka_oauthbearer_set_token(handle, token.value.c_str(), token.expires.time_since_epoch().count(),
                                       token.principal.c_str(), nullptr, 0, text.data(), text.size());
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
    // Not librdkafka's text, which may repeat the token.
    return fmt::format("the token cannot be used: {}", rd_kafka_err2name(error));
}

TokenKeeper::TokenKeeper(rd_kafka_t* handle, TokenSource source, const Token& token,
                         std::function<void()> changed)
    : handle_(handle),
      source_(std::move(source)),
      changed_(std::move(changed)),
      wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      file_state_(state_of(source_.file)) {
    CHECK(wake_fd_ >= 0);
    const auto now = wall_now();
    renew_after_ = now + (token.expires - now) / 2;
    thread_ = std::thread([this] { run(); });
}

TokenKeeper::~TokenKeeper() {
    stop_.store(true);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto put = ::write(wake_fd_, &one, sizeof one);
    thread_.join();
    ::close(wake_fd_);
}

void TokenKeeper::refresh() {
    asked_.store(true);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto put = ::write(wake_fd_, &one, sizeof one);
}

std::string TokenKeeper::problem() const {
    const std::lock_guard lock(mutex_);
    return problem_;
}

void TokenKeeper::run() {
    while (!stop_.load()) {
        pollfd waiting{wake_fd_, POLLIN, 0};
        ::poll(&waiting, 1, source_.file.empty() ? -1 : static_cast<int>(look_every.count()));
        std::uint64_t count = 0;
        [[maybe_unused]] const auto got = ::read(wake_fd_, &count, sizeof count);
        if (stop_.load()) return;
        // librdkafka asks once at the start too, when it already has its token.
        const bool due = asked_.exchange(false) && wall_now() >= renew_after_;
        if (due || file_has_changed()) renew();
    }
}

bool TokenKeeper::file_has_changed() {
    return !source_.file.empty() && state_of(source_.file) != file_state_;
}

void TokenKeeper::renew() {
    file_state_ = state_of(source_.file);
    const auto token = fetch_token(source_, {wake_fd_, [this] { return stop_.load(); }});
    if (stop_.load()) return;
    std::string problem = token ? give_token(handle_, *token) : token.error();
    if (token && !problem.empty()) problem = fmt::format("{}: {}", source_.name(), problem);
    if (problem.empty()) {
        const auto now = wall_now();
        renew_after_ = now + (token->expires - now) / 2;
    } else {
        renew_after_ = {};
        rd_kafka_oauthbearer_set_token_failure(handle_, problem.c_str());  // it asks again after 10 s
    }
    {
        const std::lock_guard lock(mutex_);
        if (problem == problem_) return;
        problem_ = std::move(problem);
    }
    changed_();
}

}  // namespace sluice::bridge::kafka
