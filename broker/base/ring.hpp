#pragma once
/// Ring<T>: a queue in one block of memory that holds none while it is empty, and is one pointer then:
/// std::deque keeps 576 bytes even so, which ten thousand idle sessions would feel.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "base/check.hpp"

namespace sluice {

template <class T>
class Ring {
  public:
    Ring() = default;
    Ring(Ring&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    Ring& operator=(Ring&& other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~Ring() {
        clear();
        free_block();
    }

    bool empty() const { return size() == 0; }
    std::size_t size() const { return block_ ? block_->size : 0; }
    /// `index` 0 is the front.
    T& operator[](std::size_t index) { return *block_->slot(index); }
    const T& operator[](std::size_t index) const { return *block_->slot(index); }
    T& front() { return (*this)[0]; }
    const T& front() const { return (*this)[0]; }
    T& back() { return (*this)[size() - 1]; }

    void push_back(T value) {
        if (!block_ || block_->size == block_->capacity) grow();
        std::construct_at(block_->slot(block_->size), std::move(value));
        ++block_->size;
    }
    void pop_front() {
        CHECK(size() > 0);
        std::destroy_at(block_->slot(0));
        block_->head = (block_->head + 1) & (block_->capacity - 1);
        // A small block stays, so that a queue that goes between none and one does not allocate each time.
        if (--block_->size == 0 && block_->capacity > capacity_min) free_block();
    }
    void clear() {
        while (size() > 0) pop_front();
    }

    /// Gives back what a longer queue needed, and all of it when there is none any more. References to
    /// elements are invalid afterwards.
    void fit() {
        if (!block_) return;
        if (block_->size == 0) return free_block();
        std::uint32_t capacity = block_->capacity;
        while (capacity > capacity_min && capacity / 4 >= block_->size) capacity /= 2;
        if (capacity < block_->capacity) move_to(capacity);
    }

  private:
    static constexpr std::uint32_t capacity_min = 4;

    /// In front of its slots.
    struct alignas(T) alignas(std::uint64_t) Block {
        std::uint32_t capacity;  ///< a power of two
        std::uint32_t head = 0;
        std::uint32_t size = 0;

        T* slot(std::size_t index) {
            return reinterpret_cast<T*>(this + 1) + ((head + index) & (capacity - 1));
        }
    };

    void grow() {
        CHECK(!block_ || block_->capacity < (1U << 31));
        move_to(block_ ? block_->capacity * 2 : capacity_min);
    }
    void move_to(std::uint32_t capacity) {
        static_assert(alignof(T) <= alignof(std::max_align_t));
        auto* block = new (::operator new(sizeof(Block) + capacity * sizeof(T))) Block{.capacity = capacity};
        for (; block->size < size(); ++block->size) {
            std::construct_at(block->slot(block->size), std::move((*this)[block->size]));
            std::destroy_at(&(*this)[block->size]);
        }
        free_block();
        block_ = block;
    }
    void free_block() {
        if (!block_) return;
        ::operator delete(std::exchange(block_, nullptr));
    }

    Block* block_ = nullptr;  ///< null: no memory
};

}  // namespace sluice
