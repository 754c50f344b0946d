#include "firmware_sim/replay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

namespace sluice::firmware {
namespace {

/// What every message carries already; a column of that name gets a prefix.
constexpr std::array<std::string_view, 3> reserved_names = {"device", "seq", "time"};

std::string json_string(std::string_view text) {
    // Files in old encodings exist: a byte that is not UTF-8 becomes U+FFFD instead of ending the replay.
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

/// Reads exactly `width` digits at `at`; -1 when they are not there.
int digits(std::string_view text, std::size_t at, std::size_t width) {
    if (at + width > text.size()) return -1;
    int value = 0;
    for (std::size_t i = at; i < at + width; ++i) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/// The milliseconds of `.5`, `.123456` at the end of a time; nothing when it is no fraction.
std::optional<int> fraction_ms(std::string_view text) {
    if (text.empty()) return 0;
    if (text.front() != '.' || text.size() < 2) return std::nullopt;
    int value = 0;
    int scale = 100;
    for (const char c : text.substr(1)) {
        if (c < '0' || c > '9') return std::nullopt;
        value += (c - '0') * scale;
        scale /= 10;
    }
    return value;
}

}  // namespace

std::optional<std::int64_t> parse_timestamp_ms(std::string_view text) {
    text = trimmed(text);
    if (text.size() < 19 || text[4] != '-' || text[7] != '-' || (text[10] != ' ' && text[10] != 'T') ||
        text[13] != ':' || text[16] != ':') {
        return std::nullopt;
    }
    const int year = digits(text, 0, 4);
    const int month = digits(text, 5, 2);
    const int day = digits(text, 8, 2);
    const int hour = digits(text, 11, 2);
    const int minute = digits(text, 14, 2);
    const int second = digits(text, 17, 2);
    if (year < 0 || month < 0 || day < 0 || hour < 0 || minute < 0 || second < 0) return std::nullopt;
    if (hour > 23 || minute > 59 || second > 60) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{year},
                                           std::chrono::month{static_cast<unsigned>(month)},
                                           std::chrono::day{static_cast<unsigned>(day)}};
    if (!date.ok()) return std::nullopt;
    std::string_view rest = text.substr(19);
    if (rest.ends_with('Z')) rest.remove_suffix(1);
    const auto fraction = fraction_ms(rest);
    if (!fraction) return std::nullopt;
    const std::int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + *fraction;
}

std::string json_value(std::string_view text) {
    const std::string_view field = trimmed(text);
    if (field.empty()) return "null";
    const std::string_view unsigned_part =
        field.front() == '-' || field.front() == '+' ? field.substr(1) : field;
    // 007 is a name, not a number; "inf" and "nan" are no JSON.
    const bool number_like =
        !unsigned_part.empty() &&
        ((unsigned_part[0] >= '0' && unsigned_part[0] <= '9') || unsigned_part[0] == '.') &&
        !(unsigned_part.size() > 1 && unsigned_part[0] == '0' && unsigned_part[1] >= '0' &&
          unsigned_part[1] <= '9');
    if (!number_like) return json_string(text);
    // The text is kept as it stands: nobody's 0.00476416302416414 is rounded here.
    if (nlohmann::json::accept(field)) return std::string(field);
    const std::string_view plain = field.front() == '+' ? unsigned_part : field;
    double value = 0;
    const auto [end, error] = std::from_chars(plain.data(), plain.data() + plain.size(), value);
    if (error != std::errc{} || end != plain.data() + plain.size() || !std::isfinite(value)) {
        return json_string(text);
    }
    return fmt::format("{}", value);
}

Result<std::unique_ptr<CsvReplay>, std::string> CsvReplay::open(const std::string& path, Report report) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {
        return Err{fmt::format("cannot replay '{}': it is a directory", path)};
    }
    std::unique_ptr<CsvReplay> replay(new CsvReplay(path, report));
    replay->file_.open(path, std::ios::binary);
    if (!replay->file_) return Err{fmt::format("cannot replay '{}': {}", path, std::strerror(errno))};
    if (auto error = replay->read_header()) return Err{std::move(*error)};
    return replay;
}

std::optional<std::string> CsvReplay::read_header() {
    std::string first_line;
    std::getline(file_, first_line);
    file_.clear();
    file_.seekg(0);
    reader_.emplace(file_, guess_separator(first_line));
    const auto header = reader_->next();
    if (!header) return fmt::format("cannot replay '{}': the file is empty", path_);
    if (!header->error.empty()) return fmt::format("cannot replay '{}': header: {}", path_, header->error);
    if (!shape_known_) fields_ = header->fields;
    return std::nullopt;
}

void CsvReplay::learn_shape(const CsvRecord& first) {
    shape_known_ = true;
    if (first.fields.size() == fields_.size() + 1) fields_.insert(fields_.begin(), "row");
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        std::string& name = fields_[i];
        if (name.empty()) name = i == 0 ? "row" : fmt::format("column{}", i + 1);
        if (std::find(reserved_names.begin(), reserved_names.end(), name) != reserved_names.end()) {
            name = "csv_" + name;
        }
        keys_.push_back(json_string(name) + ':');
    }
    for (std::size_t i = 0; i < first.fields.size() && i < fields_.size() && !time_column_; ++i) {
        if (parse_timestamp_ms(first.fields[i])) time_column_ = i;
    }
}

std::optional<ReplayRow> CsvReplay::convert(const CsvRecord& record) {
    if (!record.error.empty()) {
        reject(record.line, record.error);
        return std::nullopt;
    }
    if (!shape_known_) learn_shape(record);
    if (record.fields.size() != fields_.size()) {
        reject(record.line, fmt::format("{} fields, expected {}", record.fields.size(), fields_.size()));
        return std::nullopt;
    }
    ReplayRow row;
    row.line = record.line;
    if (time_column_) {
        row.at_ms = parse_timestamp_ms(record.fields[*time_column_]);
        if (!row.at_ms) {
            reject(record.line, fmt::format("'{}' is no time (expected YYYY-MM-DD HH:MM:SS)",
                                            record.fields[*time_column_]));
            return std::nullopt;
        }
    }
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        if (i > 0) row.members += ',';
        row.members += keys_[i];
        row.members += json_value(record.fields[i]);
    }
    return row;
}

std::optional<ReplayRow> CsvReplay::next() {
    while (auto record = reader_->next()) {
        if (auto row = convert(*record)) return row;
    }
    return std::nullopt;
}

void CsvReplay::rewind() {
    file_.clear();
    file_.seekg(0);
    // The header was good when the file was opened.
    static_cast<void>(read_header());
}

void CsvReplay::reject(std::size_t line, const std::string& why) {
    ++bad_rows_;
    if (report_ == nullptr || bad_rows_ > reports_max) return;
    report_(fmt::format("{}:{}: row skipped: {}", path_, line, why));
    if (bad_rows_ == reports_max) report_(fmt::format("{}: further bad rows are only counted", path_));
}

std::int64_t ReplayPace::due_ms(const ReplayRow& row) {
    double offset_ms = 1000.0 * static_cast<double>(rows_) / (rows_per_s_ * speed_);
    if (row.at_ms) {
        if (!first_at_ms_) first_at_ms_ = row.at_ms;
        offset_ms = static_cast<double>(*row.at_ms - *first_at_ms_) / speed_;
    }
    ++rows_;
    last_ms_ = std::max(last_ms_, begin_ms_ + static_cast<std::int64_t>(offset_ms));
    return last_ms_;
}

void ReplayPace::restart() {
    const std::int64_t gaps = rows_ > 1 ? static_cast<std::int64_t>(rows_ - 1) : 1;
    begin_ms_ = last_ms_ + (last_ms_ - begin_ms_) / gaps;
    rows_ = 0;
    first_at_ms_.reset();
}

}  // namespace sluice::firmware
