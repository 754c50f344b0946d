#pragma once
/// CSV as spreadsheets and loggers write it (RFC 4180): records one at a time from a stream, so that the size
/// of the file does not matter.
#include <cstddef>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::firmware {

struct CsvRecord {
    std::vector<std::string> fields;
    std::size_t line = 0;  ///< where the record begins, counted from 1
    std::string error;     ///< not empty: the record cannot be used, and why
};

class CsvReader {
  public:
    /// A longer record is a broken quote rather than a reading.
    static constexpr std::size_t record_bytes_max = 64 * 1024;

    explicit CsvReader(std::istream& in, char separator = ',') : in_(in), separator_(separator) {}

    void set_separator(char separator) { separator_ = separator; }
    /// The next record; blank lines are passed over. Nothing at the end of the stream.
    std::optional<CsvRecord> next();

  private:
    bool read_line(std::string& line);
    /// Adds the fields of `line`; true when the last one is a quoted field that goes on in the next line.
    bool split(std::string_view line, CsvRecord& record);

    std::istream& in_;
    char separator_;
    std::size_t line_ = 0;
    std::string open_field_;  ///< the part of a quoted field that stood on earlier lines
    bool open_ = false;
};

/// The character that separates the fields of this header line: semicolons are what spreadsheets write where
/// the comma is the decimal point.
char guess_separator(std::string_view header_line);

}  // namespace sluice::firmware
