#include "firmware_sim/tally.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace sluice::firmware {

std::optional<std::string> Tally::open_journal(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "we");
    if (file == nullptr) return fmt::format("cannot write journal '{}': {}", path, std::strerror(errno));
    const std::lock_guard lock(mutex_);
    journal_.reset(file);
    return std::nullopt;
}

void Tally::on_sent() {
    const std::lock_guard lock(mutex_);
    ++counts_.sent;
}

void Tally::on_sent_again() {
    const std::lock_guard lock(mutex_);
    ++counts_.again;
}

void Tally::on_acknowledged(std::string_view device, std::uint64_t seq) {
    const std::lock_guard lock(mutex_);
    ++counts_.acknowledged;
    if (journal_) fmt::print(journal_.get(), "{} {}\n", device, seq);
}

void Tally::on_connected(bool again) {
    const std::lock_guard lock(mutex_);
    ++counts_.connected;
    if (again) ++counts_.reconnects;
}

void Tally::on_disconnected() {
    const std::lock_guard lock(mutex_);
    --counts_.connected;
}

void Tally::on_skipped() {
    const std::lock_guard lock(mutex_);
    ++counts_.skipped;
}

void Tally::on_command() {
    const std::lock_guard lock(mutex_);
    ++counts_.commands;
}

TallyCounts Tally::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

void Tally::flush() {
    const std::lock_guard lock(mutex_);
    if (journal_) std::fflush(journal_.get());
}

std::string summary_line(const TallyCounts& counts) {
    return fmt::format("sent {} acknowledged {} unacknowledged {} reconnects {}", counts.sent,
                       counts.acknowledged, counts.unacknowledged(), counts.reconnects);
}

std::string progress_line(const TallyCounts& counts) {
    return fmt::format("{} connected {}", summary_line(counts), counts.connected);
}

}  // namespace sluice::firmware
