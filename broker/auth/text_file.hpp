#pragma once
/// Small helpers for the files of this room: read one whole, make it last, walk its lines, say where an error
/// is.
#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace sluice::auth {

/// A file larger than this is not one of ours.
constexpr std::size_t file_bytes_max = 64U << 20;

/// The whole file; the error names the file and the reason.
Result<std::string, std::string> load_text_file(const std::string& path);

/// Makes what a folder says of this file last: a rename() that a power cut must not undo. 0, or errno.
int sync_folder_of(const std::string& path);

/// Logs a warning when others than owner and group can read the file.
void warn_if_world_readable(const std::string& path);

/// Without blanks, tabs and a carriage return at both ends.
std::string_view trimmed(std::string_view text);

/// Walks the lines that say something: skips empty ones and comments ('#' first).
class LineReader {
  public:
    explicit LineReader(std::string_view text) : rest_(text) {}
    /// The next line, trimmed; false at the end.
    bool next(std::string_view& line);
    /// Of the line last given; counts from 1.
    std::size_t number() const { return number_; }

  private:
    std::string_view rest_;
    std::size_t number_ = 0;
};

/// Cuts the first word off the text, and the blanks after it.
std::string_view cut_word(std::string_view& text);

/// "FILE:LINE: problem; expected ..."
std::string at_line(std::string_view file, std::size_t line, std::string_view problem);

}  // namespace sluice::auth
