#pragma once
/// OperationMemory: room for one pending asynchronous operation inside the object that it belongs to. Asio
/// would else take it from its thread's recycled blocks, which come in all sizes: an idle connection, whose
/// operation may wait for hours, keeps whatever it was given.
#include <array>
#include <cstddef>
#include <new>

namespace sluice::net {

/// One thread at a time. Outlives the operation.
class OperationMemory {
  public:
    void* allocate(std::size_t bytes) {
        if (used_ || bytes > room_.size()) return ::operator new(bytes);
        used_ = true;
        return room_.data();
    }
    void deallocate(void* memory) {
        if (memory != room_.data()) return ::operator delete(memory);
        used_ = false;
    }

  private:
    /// What Asio 1.74 needs for a wait; a version that needs more gets it elsewhere.
    alignas(void*) std::array<std::byte, 80> room_;
    bool used_ = false;
};

/// What a handler names as its allocator for its operation to lie there.
template <class T>
class OperationAllocator {
  public:
    using value_type = T;

    explicit OperationAllocator(OperationMemory& memory) : memory_(&memory) {}
    template <class U>
    OperationAllocator(const OperationAllocator<U>& other) : memory_(other.memory_) {}

    T* allocate(std::size_t count) {
        static_assert(alignof(T) <= alignof(void*));
        return static_cast<T*>(memory_->allocate(count * sizeof(T)));
    }
    void deallocate(T* at, std::size_t /*count*/) { memory_->deallocate(at); }
    template <class U>
    bool operator==(const OperationAllocator<U>& other) const {
        return memory_ == other.memory_;
    }

  private:
    template <class U>
    friend class OperationAllocator;
    OperationMemory* memory_;
};

}  // namespace sluice::net
