#include "app/logging.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

namespace sluice::app {
namespace {

// Lives as long as the process: threads may log until the very end.
spdlog::logger* logger = nullptr;
LogForm form_in_use = LogForm::plain;
// The longest that says something; strangers' words in it are cut before (log::quote).
constexpr std::size_t line_bytes_max = 4096;

spdlog::level::level_enum level_of(log::Level level) {
    switch (level) {
        case log::Level::debug:
            return spdlog::level::debug;
        case log::Level::info:
            return spdlog::level::info;
        case log::Level::warn:
            return spdlog::level::warn;
        case log::Level::error:
            break;
    }
    return spdlog::level::err;
}

void write_line(log::Level level, std::string_view line) {
    std::string text(form_in_use == LogForm::journal ? journal_priority(level) : std::string_view());
    text += printable_line(line);
    logger->log(level_of(level), spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace

LogForm find_log_form() {
    const bool by_systemd =
        std::getenv("JOURNAL_STREAM") != nullptr || std::getenv("INVOCATION_ID") != nullptr;
    // A shell of a desktop session has these variables as well.
    return by_systemd && ::isatty(STDERR_FILENO) == 0 ? LogForm::journal : LogForm::plain;
}

void start_logging(LogForm form, log::Level level) {
    delete logger;
    form_in_use = form;
    logger = new spdlog::logger("sluiced", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_level(spdlog::level::trace);
    logger->set_pattern(form == LogForm::journal ? "%v" : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    log::set_level(level);
    log::set_sink(&write_line);
}

std::string_view journal_priority(log::Level level) {
    switch (level) {
        case log::Level::debug:
            return "<7>";
        case log::Level::info:
            return "<6>";
        case log::Level::warn:
            return "<4>";
        case log::Level::error:
            break;
    }
    return "<3>";
}

std::string printable_line(std::string_view line) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    out.reserve(line.size());
    const auto escape = [&](unsigned char byte) { out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]}; };
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (out.size() > line_bytes_max) return out + fmt::format("... ({} bytes)", line.size());
        const auto byte = static_cast<unsigned char>(line[i]);
        const auto next = i + 1 < line.size() ? static_cast<unsigned char>(line[i + 1]) : 0;
        if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {  // U+0080 to U+009F: a terminal obeys these, too
            escape(byte);
            escape(next);
            ++i;
        } else if (byte >= 0x20 && byte != 0x7f) {
            out += line[i];
        } else {
            escape(byte);
        }
    }
    return out;
}

}  // namespace sluice::app
