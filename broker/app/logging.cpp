#include "app/logging.hpp"

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
    for (const char c : line) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7f) {
            out += c;
        } else {
            out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return out;
}

}  // namespace sluice::app
