#pragma once
/// The log port: rooms write lines, the app decides where they go. Safe from any thread.
#include <atomic>
#include <cstdint>
#include <string_view>

namespace sluice::log {

enum class Level : std::uint8_t { debug, info, warn, error };

/// Called with each line that passes the level; must be safe from any thread.
using Sink = void (*)(Level, std::string_view line);

/// Installs the sink; the app does this once at start, before other threads exist.
void set_sink(Sink sink);
void set_level(Level level);
bool enabled(Level level);

/// One line without a newline, in the form `area: what happened key=value ...`. Never secrets, never
/// payloads.
void write(Level level, std::string_view line);

inline void debug(std::string_view line) {
    write(Level::debug, line);
}
inline void info(std::string_view line) {
    write(Level::info, line);
}
inline void warn(std::string_view line) {
    write(Level::warn, line);
}
inline void error(std::string_view line) {
    write(Level::error, line);
}

/// Lets one line through per interval, so that a flood of one kind of event cannot fill the journal. One per
/// call site (static); safe from any thread.
class RateLimit {
  public:
    explicit RateLimit(std::int64_t interval_ms) : interval_ms_(interval_ms) {}
    /// True when a line may be written now; `suppressed` then tells how many were held back since the last
    /// one.
    bool allow(std::int64_t now_ms, std::uint64_t& suppressed);

  private:
    std::int64_t interval_ms_;
    std::atomic<std::int64_t> next_ms_{0};
    std::atomic<std::uint64_t> suppressed_{0};
};

}  // namespace sluice::log
