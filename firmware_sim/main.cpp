/// firmware_sim: simulated devices that publish telemetry over MQTT and count what the broker acknowledged.
#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <utility>
#include <variant>

#include "firmware_sim/fleet.hpp"
#include "firmware_sim/options.hpp"
#include "firmware_sim/replay.hpp"
#include "firmware_sim/tally.hpp"

namespace {

std::atomic<int> interrupts{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

extern "C" void on_interrupt(int) {
    ++interrupts;
}

void report_bad_row(const std::string& line) {
    fmt::print(stderr, "firmware_sim: {}\n", line);
}

int run(const sluice::firmware::Options& options) {
    using namespace sluice::firmware;
    std::unique_ptr<CsvReplay> replay;
    if (!options.replay_file.empty()) {
        auto opened = CsvReplay::open(options.replay_file, report_bad_row);
        if (!opened) {
            fmt::print(stderr, "firmware_sim: {}\n", opened.error());
            return 2;
        }
        replay = std::move(opened).value();
    }
    Tally tally;
    if (!options.journal_file.empty()) {
        if (auto error = tally.open_journal(options.journal_file)) {
            fmt::print(stderr, "firmware_sim: {}\n", *error);
            return 2;
        }
    }
    const CsvReplay* rows = replay.get();
    Fleet fleet(options, std::move(replay), tally, interrupts);
    fleet.run();

    const TallyCounts counts = tally.counts();
    if (rows != nullptr && rows->bad_rows() > 0) {
        fmt::print(stderr, "firmware_sim: {} bad rows skipped\n", rows->bad_rows());
    }
    if (counts.skipped > 0) {
        fmt::print(stderr, "firmware_sim: {} readings not taken: the outbox was full\n", counts.skipped);
    }
    fmt::print("{}\n", summary_line(counts));
    return counts.unacknowledged() == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    auto parsed = sluice::firmware::parse_options(argc, argv);
    if (const int* status = std::get_if<int>(&parsed)) return *status;
    std::signal(SIGINT, on_interrupt);
    std::signal(SIGTERM, on_interrupt);
    // A broker that hangs up while we write is no reason to die.
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return run(std::get<sluice::firmware::Options>(parsed));
    } catch (const std::exception& error) {
        fmt::print(stderr, "firmware_sim: {}\n", error.what());
        return 2;
    }
}
