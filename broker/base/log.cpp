#include "base/log.hpp"

#include <cstdio>

namespace sluice::log {
namespace {

void write_stderr(Level level, std::string_view line) {
    static constexpr std::string_view names[] = {"debug", "info", "warning", "error"};
    const auto name = names[static_cast<unsigned>(level)];
    std::fprintf(stderr, "%.*s: %.*s\n", int(name.size()), name.data(), int(line.size()), line.data());
}

std::atomic<Sink> current_sink{&write_stderr};
std::atomic<Level> current_level{Level::info};

}  // namespace

void set_sink(Sink sink) {
    current_sink.store(sink);
}
void set_level(Level level) {
    current_level.store(level);
}
bool enabled(Level level) {
    return level >= current_level.load(std::memory_order_relaxed);
}

void write(Level level, std::string_view line) {
    if (enabled(level)) current_sink.load(std::memory_order_relaxed)(level, line);
}

bool RateLimit::allow(std::int64_t now_ms, std::uint64_t& suppressed) {
    std::int64_t next = next_ms_.load(std::memory_order_relaxed);
    if (now_ms < next || !next_ms_.compare_exchange_strong(next, now_ms + interval_ms_)) {
        suppressed_.fetch_add(1, std::memory_order_relaxed);
        return false;
    }
    suppressed = suppressed_.exchange(0);
    return true;
}

}  // namespace sluice::log
