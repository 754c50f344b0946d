#include "bridge/file/file_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "wire/topic.hpp"

namespace sluice::bridge::file {
namespace {

constexpr std::string_view ending = ".ndjson";
constexpr std::size_t compact_time_bytes = 16;
constexpr std::size_t number_digits_min = 6, number_digits_max = 18;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_compact_time(std::string_view text) {
    if (text.size() != compact_time_bytes || text[8] != 'T' || text[15] != 'Z') return false;
    return std::all_of(text.begin(), text.begin() + 8, is_digit) &&
           std::all_of(text.begin() + 9, text.begin() + 15, is_digit);
}

/// The base and number of "BASE-20261129T210000Z-000001".
std::optional<FileName> parse_finished(std::string_view stem) {
    const auto last = stem.rfind('-');
    if (last == std::string_view::npos || last < compact_time_bytes + 1) return std::nullopt;
    const std::string_view digits = stem.substr(last + 1);
    const std::size_t time_at = last - compact_time_bytes;
    if (stem[time_at - 1] != '-' || !is_compact_time(stem.substr(time_at, compact_time_bytes)))
        return std::nullopt;
    if (digits.size() < number_digits_min || digits.size() > number_digits_max ||
        !std::all_of(digits.begin(), digits.end(), is_digit))
        return std::nullopt;
    std::uint64_t number = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return FileName{stem.substr(0, time_at - 1), number};
}

struct Utc {
    int year;
    unsigned month, day;
    std::chrono::hh_mm_ss<Millis> time;
};

Utc utc_of(WallTime time) {
    constexpr std::chrono::sys_days last_day{std::chrono::year{9999} / 12 / 31};
    const auto clamped =
        std::clamp<WallTime>(time, WallTime{}, last_day + std::chrono::hours(24) - Millis(1));
    const auto day = std::chrono::floor<std::chrono::days>(clamped);
    const std::chrono::year_month_day date{day};
    return {static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
            static_cast<unsigned>(date.day()), std::chrono::hh_mm_ss<Millis>{clamped - day}};
}

}  // namespace

std::string base_problem(std::string_view base) {
    if (base.empty()) return "the file's name is empty";
    if (base.size() > base_bytes_max)
        return fmt::format("the file's name has {} bytes, at most {} are possible", base.size(),
                           base_bytes_max);
    if (!wire::is_utf8(base) ||
        std::any_of(base.begin(), base.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
        return "the file's name has characters that cannot be printed";
    if (base.find('/') != std::string_view::npos)
        return fmt::format("the file's name '{}' has a '/'; expected one without a folder", base);
    if (base.front() == '.')
        return fmt::format("the file's name '{}' begins with '.'; expected another character", base);
    if (parse_finished(base))
        return fmt::format("the file's name '{}' looks like that of a finished file; expected another one",
                           base);
    return {};
}

void append_base(std::string& out, Template::Field field, std::string_view value) {
    const auto from = static_cast<std::ptrdiff_t>(out.size());
    out += value;
    if (field == Template::Field::topic) std::replace(out.begin() + from, out.end(), '/', '_');
}

std::string active_name(std::string_view base) {
    return fmt::format("{}{}", base, ending);
}

std::string finished_name(std::string_view base, WallTime now, std::uint64_t number) {
    return fmt::format("{}-{}-{:06}{}", base, compact_time(now), number, ending);
}

std::optional<FileName> parse_name(std::string_view name) {
    if (!name.ends_with(ending)) return std::nullopt;
    name.remove_suffix(ending.size());
    const auto finished = parse_finished(name);
    const FileName parsed = finished ? *finished : FileName{name, std::nullopt};
    if (!base_problem(parsed.base).empty()) return std::nullopt;
    return parsed;
}

std::string compact_time(WallTime time) {
    const Utc utc = utc_of(time);
    return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", utc.year, utc.month, utc.day,
                       utc.time.hours().count(), utc.time.minutes().count(), utc.time.seconds().count());
}

std::string line_time(WallTime time) {
    const Utc utc = utc_of(time);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.year, utc.month, utc.day,
                       utc.time.hours().count(), utc.time.minutes().count(), utc.time.seconds().count(),
                       utc.time.subseconds().count());
}

}  // namespace sluice::bridge::file
