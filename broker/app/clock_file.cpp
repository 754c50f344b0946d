#include "app/clock_file.hpp"

#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "app/small_file.hpp"
#include "base/clock_history.hpp"
#include "base/log.hpp"

namespace sluice::app {
namespace {

using Span = ClockHistory::Span;

WallTime wall_of(std::int64_t ms) {
    return WallTime(Millis(ms));
}

/// False when the text is not what to_text() makes.
bool read(std::istream& in, std::vector<Span>& spans) {
    for (std::string line; std::getline(in, line);) {
        std::istringstream numbers(line);
        std::int64_t begin = 0, end = 0, behind = 0;
        std::string rest;
        if (!(numbers >> begin >> end >> behind) || (numbers >> rest) || begin > end) return false;
        spans.push_back({wall_of(begin), wall_of(end), Millis(behind)});
    }
    return spans.size() <= ClockHistory::spans_max;
}

std::string to_text(const std::vector<Span>& spans) {
    std::string text;
    for (const Span& span : spans)
        fmt::format_to(std::back_inserter(text), "{} {} {}\n", span.begin.time_since_epoch().count(),
                       span.end.time_since_epoch().count(), span.behind.count());
    return text;
}

}  // namespace

ClockFile::ClockFile(const std::string& data_dir) : path_(data_dir + "/clock.history") {
    std::vector<Span> spans;
    std::ifstream file(path_);
    if (read(file, spans)) {
        ClockHistory::instance().restore(std::move(spans));
        return;
    }
    log::error(
        fmt::format("{}: expected up to {} lines of three numbers, begin, end and by how much the clock "
                    "was behind; it is not used",
                    path_, ClockHistory::spans_max));
}

void ClockFile::keep() {
    const auto jumps = ClockHistory::instance().jumps();
    if (jumps == kept_) return;
    kept_ = jumps;
    const auto spans = ClockHistory::instance().spans();
    const Span& last = spans.back();
    log::warn(fmt::format("clock: it was set {} by {:.1f} s; what came in before keeps its true age",
                          last.behind.count() < 0 ? "back" : "forward",
                          std::abs(static_cast<double>(last.behind.count())) / 1000.0));
    if (path_.empty()) return;
    if (const int error = write_small_file(path_, to_text(spans)); error != 0)
        log::warn(
            fmt::format("{}: cannot be written: {}; after a restart of the broker, what came in before the "
                        "clock was set may be taken for too old",
                        path_, std::strerror(error)));
}

}  // namespace sluice::app
