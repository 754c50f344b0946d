#pragma once
/// Tally: what the whole fleet sent and what was acknowledged. Safe from any thread.
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::firmware {

struct TallyCounts {
    std::uint64_t sent = 0;          ///< distinct messages that left a device's sensor for the broker
    std::uint64_t acknowledged = 0;  ///< of these, how many the broker took
    std::uint64_t again = 0;         ///< sendings of a message that had been sent before
    std::uint64_t reconnects = 0;
    std::uint64_t skipped = 0;  ///< readings not taken because the outbox was full
    std::uint64_t commands = 0;
    std::int64_t connected = 0;

    std::uint64_t unacknowledged() const { return sent - acknowledged; }
};

class Tally {
  public:
    Tally() = default;
    ~Tally() { flush(); }
    Tally(const Tally&) = delete;
    Tally& operator=(const Tally&) = delete;

    /// Every acknowledged message becomes a line `device seq` in this file. The error is one line for the
    /// user.
    std::optional<std::string> open_journal(const std::string& path);

    void on_sent();
    void on_sent_again();
    void on_acknowledged(std::string_view device, std::uint64_t seq);
    void on_connected(bool again);
    void on_disconnected();
    void on_skipped();
    void on_command();

    TallyCounts counts() const;
    /// Hands the journal's lines to the system, so that a reader sees them.
    void flush();

  private:
    struct CloseFile {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };

    mutable std::mutex mutex_;
    TallyCounts counts_;
    std::unique_ptr<std::FILE, CloseFile> journal_;
};

/// `sent S acknowledged A unacknowledged U reconnects R`
std::string summary_line(const TallyCounts& counts);
/// The same with the number of connected devices, for whoever watches a run.
std::string progress_line(const TallyCounts& counts);

}  // namespace sluice::firmware
