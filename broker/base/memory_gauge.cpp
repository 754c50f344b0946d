#include "base/memory_gauge.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

#include "base/check.hpp"

namespace sluice::memory_gauge {
namespace {

/// Never destroyed: memory is let go until the very end of the process, and what an ended thread has counted
/// still counts. The threads of a broker are few.
struct alignas(64) Cell {
    std::atomic<std::int64_t> bytes{0};  ///< written by its thread only
    std::uint64_t grown = 0;             ///< for its thread only
    Cell* next = nullptr;
};

std::atomic<Cell*> cells{nullptr};
constinit thread_local Cell* mine = nullptr;
std::atomic<std::uint64_t> kept_bytes{0}, retained_bytes{0}, unfinished_bytes{0};

/// Not by operator new, which counts here.
Cell* make_cell() noexcept {
    void* memory = std::aligned_alloc(alignof(Cell), sizeof(Cell));
    CHECK(memory != nullptr);
    mine = new (memory) Cell;
    mine->next = cells.load(std::memory_order_relaxed);
    while (!cells.compare_exchange_weak(mine->next, mine, std::memory_order_release)) {
    }
    return mine;
}

Cell& my_cell() noexcept {
    return mine != nullptr ? *mine : *make_cell();
}

}  // namespace

void add(std::int64_t bytes) noexcept {
    Cell& cell = my_cell();
    if (bytes > 0) cell.grown += static_cast<std::uint64_t>(bytes);
    cell.bytes.store(cell.bytes.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
}

std::uint64_t grown_here() {
    return my_cell().grown;
}

std::uint64_t total() {
    std::int64_t sum = 0;
    for (const Cell* cell = cells.load(std::memory_order_acquire); cell != nullptr; cell = cell->next)
        sum += cell->bytes.load(std::memory_order_relaxed);
    return sum > 0 ? static_cast<std::uint64_t>(sum) : 0;
}

std::uint64_t kept() {
    return kept_bytes.load(std::memory_order_relaxed);
}

void add_kept(std::int64_t bytes) noexcept {
    kept_bytes.fetch_add(static_cast<std::uint64_t>(bytes), std::memory_order_relaxed);
}

std::uint64_t retained() {
    return retained_bytes.load(std::memory_order_relaxed);
}

void add_retained(std::int64_t bytes) noexcept {
    retained_bytes.fetch_add(static_cast<std::uint64_t>(bytes), std::memory_order_relaxed);
}

std::uint64_t unfinished() {
    return unfinished_bytes.load(std::memory_order_relaxed);
}

void add_unfinished(std::int64_t bytes) noexcept {
    unfinished_bytes.fetch_add(static_cast<std::uint64_t>(bytes), std::memory_order_relaxed);
}

}  // namespace sluice::memory_gauge
