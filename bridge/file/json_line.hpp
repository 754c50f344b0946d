#pragma once
/// A message as one line of JSON, and what a line looks like when a file is read back.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "bridge/file/settings.hpp"
#include "bridge/mapping.hpp"

namespace sluice::bridge::file {

/// JSON that nests deeper is not put into a line: many readers give up on it.
constexpr int json_depth_max = 128;

struct LineForm {
    PayloadForm payload = PayloadForm::automatic;
    bool headers = true;
};

/// Appends the line with its '\n': one JSON object in UTF-8, whatever the message holds. The same message
/// gives the same line in every delivery. The error says why the payload does not have the wanted form; `out`
/// is then as before.
Result<void, std::string> append_line(std::string& out, const MessageView& view, const Identity& identity,
                                      LineForm form);

/// Finds where the lines of a file stop to be whole: after a power cut what had not been synced may be there
/// in part, with holes of zeros. Knows lines by their form, and does not parse them. Begins at the begin of a
/// line.
class LineCheck {
  public:
    void feed(std::string_view bytes);
    /// Up to here all lines are whole.
    std::uint64_t whole_bytes() const { return whole_bytes_; }
    /// A line with its end is no line of ours. False: at most the end of the last one is missing.
    bool damaged() const { return damaged_; }

  private:
    std::uint64_t whole_bytes_ = 0;
    std::uint64_t line_bytes_ = 0;
    char last_ = 0;
    bool line_is_ours_ = true;
    bool damaged_ = false;
};

}  // namespace sluice::bridge::file
