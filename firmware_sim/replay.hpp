#pragma once
/// Rows of a CSV file of sensor readings as telemetry: column names become fields, numbers stay numbers, the
/// time column gives the pace.
#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "firmware_sim/csv.hpp"

namespace sluice::firmware {

struct ReplayRow {
    std::string members;                ///< JSON members without braces: `"Temperature":23.7,"Light":585.2`
    std::optional<std::int64_t> at_ms;  ///< the row's own time, when the file has a time column
    std::size_t line = 0;
};

/// `YYYY-MM-DD HH:MM:SS` (a `T` between, a fraction and a `Z` are taken too) as milliseconds since 1970.
std::optional<std::int64_t> parse_timestamp_ms(std::string_view text);

/// A CSV field as a JSON value: a number when it reads as one, null when empty, else a string.
std::string json_value(std::string_view field);

class CsvReplay {
  public:
    /// Called with one line per row that cannot be used.
    using Report = void (*)(const std::string& line);

    /// Opens the file and reads its header; the error is one line for the user.
    static Result<std::unique_ptr<CsvReplay>, std::string> open(const std::string& path, Report report);

    /// The next good row; bad ones are reported and passed over. Nothing at the end of the file.
    std::optional<ReplayRow> next();
    void rewind();

    std::uint64_t bad_rows() const { return bad_rows_; }
    /// The names the fields will have in the messages.
    const std::vector<std::string>& fields() const { return fields_; }

  private:
    /// Reports beyond these are counted only: a file of the wrong kind must not flood the terminal.
    static constexpr std::uint64_t reports_max = 20;

    CsvReplay(std::string path, Report report) : path_(std::move(path)), report_(report) {}
    std::optional<std::string> read_header();
    /// Sees from the first row whether the header lacks the name of the first column (a row number), and
    /// which column is the time.
    void learn_shape(const CsvRecord& first);
    std::optional<ReplayRow> convert(const CsvRecord& record);
    void reject(std::size_t line, const std::string& why);

    std::string path_;
    Report report_;
    std::ifstream file_;
    std::optional<CsvReader> reader_;
    std::vector<std::string> fields_;
    std::vector<std::string> keys_;  ///< fields_ as quoted JSON keys with the colon
    std::optional<std::size_t> time_column_;
    bool shape_known_ = false;
    std::uint64_t bad_rows_ = 0;
};

/// When the rows are due, in milliseconds since the replay began.
class ReplayPace {
  public:
    /// `rows_per_s` serves files without a time column; `speed` is times real time.
    ReplayPace(double rows_per_s, double speed) : rows_per_s_(rows_per_s), speed_(speed) {}

    /// The due time of the next row. Never earlier than that of the row before, even if its time is.
    std::int64_t due_ms(const ReplayRow& row);
    /// The file begins again: its first row is due one usual gap after the last one.
    void restart();

  private:
    double rows_per_s_;
    double speed_;
    std::int64_t begin_ms_ = 0;  ///< when the current pass began
    std::int64_t last_ms_ = 0;
    std::uint64_t rows_ = 0;  ///< in this pass
    std::optional<std::int64_t> first_at_ms_;
};

}  // namespace sluice::firmware
