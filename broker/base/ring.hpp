#pragma once
/// Ring<T>: a queue in one block of memory that holds none while it is empty. std::deque keeps 576 bytes even
/// then, which ten thousand idle sessions would feel. The block counts in memory_gauge: where a message waits
/// for many, what points to it is more than the message itself.
#include <cstddef>
#include <memory>
#include <utility>

#include "base/check.hpp"
#include "base/memory_gauge.hpp"

namespace sluice {

template <class T>
class Ring {
  public:
    Ring() = default;
    Ring(Ring&& other) noexcept
        : slots_(std::exchange(other.slots_, nullptr)),
          capacity_(std::exchange(other.capacity_, 0)),
          head_(std::exchange(other.head_, 0)),
          size_(std::exchange(other.size_, 0)) {}
    Ring& operator=(Ring&& other) noexcept {
        std::swap(slots_, other.slots_);
        std::swap(capacity_, other.capacity_);
        std::swap(head_, other.head_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Ring() {
        clear();
        free_block();
    }

    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }
    /// `index` 0 is the front.
    T& operator[](std::size_t index) { return slots_[(head_ + index) & (capacity_ - 1)]; }
    const T& operator[](std::size_t index) const { return slots_[(head_ + index) & (capacity_ - 1)]; }
    T& front() { return (*this)[0]; }
    const T& front() const { return (*this)[0]; }
    T& back() { return (*this)[size_ - 1]; }

    void push_back(T value) {
        if (size_ == capacity_) grow();
        std::construct_at(slots_ + ((head_ + size_) & (capacity_ - 1)), std::move(value));
        ++size_;
    }
    void pop_front() {
        CHECK(size_ > 0);
        std::destroy_at(slots_ + head_);
        head_ = (head_ + 1) & (capacity_ - 1);
        // A small block stays, so that a queue that goes between none and one does not allocate each time.
        if (--size_ == 0 && capacity_ > 4) free_block();
    }
    void clear() {
        while (size_ > 0) pop_front();
    }

    /// Gives back what a longer queue needed. References to elements are invalid afterwards.
    void fit() {
        std::size_t capacity = capacity_;
        while (capacity > 4 && capacity / 4 >= size_) capacity /= 2;
        if (size_ > 0 && capacity < capacity_) move_to(capacity);
    }

  private:
    void grow() { move_to(capacity_ == 0 ? 4 : capacity_ * 2); }
    void move_to(std::size_t capacity) {
        T* slots = std::allocator<T>{}.allocate(capacity);
        for (std::size_t i = 0; i < size_; ++i) {
            std::construct_at(slots + i, std::move((*this)[i]));
            std::destroy_at(&(*this)[i]);
        }
        free_block();
        slots_ = slots;
        capacity_ = capacity;
        memory_gauge::add(static_cast<std::int64_t>(capacity_ * sizeof(T)));
    }
    void free_block() {
        if (!slots_) return;
        std::allocator<T>{}.deallocate(slots_, capacity_);
        memory_gauge::add(-static_cast<std::int64_t>(capacity_ * sizeof(T)));
        slots_ = nullptr;
        capacity_ = head_ = 0;
    }

    T* slots_ = nullptr;
    std::size_t capacity_ = 0;  ///< a power of two, or 0
    std::size_t head_ = 0;
    std::size_t size_ = 0;
};

}  // namespace sluice
