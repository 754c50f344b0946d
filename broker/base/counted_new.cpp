#include <malloc.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "base/memory_gauge.hpp"

// The process's operator new and delete: malloc and free, and the gauge knows. What a block really takes is
// counted, so that a delete which is not told the size takes off the same. A file of its own, which programs
// link and nobody else: a bridge module with operators of its own would count in a gauge of its own, and what
// the broker makes and the module lets go would never leave the broker's count. As libstdc++ has the same
// symbols, the linker exports the program's, and (those go first) the modules that it loads use them.
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
