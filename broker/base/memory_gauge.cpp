#include "base/memory_gauge.hpp"

#include <malloc.h>

#include <atomic>
#include <cstddef>
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

// The process's operator new and delete: malloc and free, and the gauge knows. What a block really takes is
// counted, so that a delete which is not told the size takes off the same. In one file with the gauge:
// whoever links that has these too, and (an executable's definition goes first) so have the modules that it
// loads.
namespace {

constexpr std::int64_t block_head_bytes = sizeof(void*);  // the allocator's own, in front of each block

std::int64_t bytes_of(void* block) noexcept {
    return static_cast<std::int64_t>(::malloc_usable_size(block)) + block_head_bytes;
}

void* counted(void* block) noexcept {
    if (block != nullptr) sluice::memory_gauge::add(bytes_of(block));
    return block;
}

void* allocate(std::size_t bytes) noexcept {
    return counted(std::malloc(bytes == 0 ? 1 : bytes));
}

void* allocate(std::size_t bytes, std::align_val_t alignment) noexcept {
    const auto to = static_cast<std::size_t>(alignment);
    return counted(std::aligned_alloc(to, (bytes + to - 1) / to * to));
}

void give_back(void* block) noexcept {
    if (block == nullptr) return;
    sluice::memory_gauge::add(-bytes_of(block));
    std::free(block);
}

/// As the standard wants it: the new-handler may find some memory, or throw.
template <class... Alignment>
void* allocate_or_throw(std::size_t bytes, Alignment... alignment) {
    for (;;) {
        if (void* block = allocate(bytes, alignment...)) return block;
        const std::new_handler handler = std::get_new_handler();
        if (handler == nullptr) throw std::bad_alloc();
        handler();
    }
}

}  // namespace

void* operator new(std::size_t bytes) {
    return allocate_or_throw(bytes);
}
void* operator new[](std::size_t bytes) {
    return allocate_or_throw(bytes);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return allocate_or_throw(bytes, alignment);
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
    return allocate_or_throw(bytes, alignment);
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    return allocate(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
    return allocate(bytes);
}
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return allocate(bytes, alignment);
}
void* operator new[](std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return allocate(bytes, alignment);
}
void operator delete(void* block) noexcept {
    give_back(block);
}
void operator delete[](void* block) noexcept {
    give_back(block);
}
void operator delete(void* block, std::size_t /*bytes*/) noexcept {
    give_back(block);
}
void operator delete[](void* block, std::size_t /*bytes*/) noexcept {
    give_back(block);
}
void operator delete(void* block, std::align_val_t /*alignment*/) noexcept {
    give_back(block);
}
void operator delete[](void* block, std::align_val_t /*alignment*/) noexcept {
    give_back(block);
}
void operator delete(void* block, std::size_t /*bytes*/, std::align_val_t /*alignment*/) noexcept {
    give_back(block);
}
void operator delete[](void* block, std::size_t /*bytes*/, std::align_val_t /*alignment*/) noexcept {
    give_back(block);
}
void operator delete(void* block, const std::nothrow_t&) noexcept {
    give_back(block);
}
void operator delete[](void* block, const std::nothrow_t&) noexcept {
    give_back(block);
}
