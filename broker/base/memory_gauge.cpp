#include "base/memory_gauge.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace sluice::memory_gauge {
namespace {

struct alignas(64) Cell {
    std::atomic<std::int64_t> bytes{0};  ///< written by its thread only
};

struct Cells {
    std::mutex mutex;
    std::vector<std::unique_ptr<Cell>> all;
};

/// Never destroyed, nor is any cell: messages are let go until the very end of the process, and what an ended
/// thread has counted still counts. The threads of a broker are few.
Cells& cells() {
    static Cells* const one = new Cells;
    return *one;
}

thread_local std::uint64_t grown = 0;

Cell* make_cell() {
    const std::lock_guard lock(cells().mutex);
    return cells().all.emplace_back(std::make_unique<Cell>()).get();
}

}  // namespace

void add(std::int64_t bytes) {
    thread_local Cell* const mine = make_cell();
    if (bytes > 0) grown += static_cast<std::uint64_t>(bytes);
    mine->bytes.store(mine->bytes.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
}

std::uint64_t grown_here() {
    return grown;
}

std::uint64_t total() {
    std::int64_t sum = 0;
    const std::lock_guard lock(cells().mutex);
    for (const auto& cell : cells().all) sum += cell->bytes.load(std::memory_order_relaxed);
    return sum > 0 ? static_cast<std::uint64_t>(sum) : 0;
}

}  // namespace sluice::memory_gauge
