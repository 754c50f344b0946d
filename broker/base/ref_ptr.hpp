#pragma once
/// RefPtr<T>: a shared pointer whose count lives in the object (T derives from RefCounted<T>): one
/// allocation, one word.
#include <atomic>
#include <cstdint>
#include <utility>

namespace sluice {

/// The count. The last release calls `T::destroy(const T*)` when T has one (objects with trailing bytes),
/// else deletes. Counting is thread-safe; what T holds is T's own matter (a shared T is immutable). The long
/// names are on purpose: a T with a `retain()` of its own, such as a message with its RETAIN flag, would hide
/// a short one and never be counted.
template <class T>
class RefCounted {
  public:
    RefCounted() = default;
    RefCounted(const RefCounted&) = delete;
    RefCounted& operator=(const RefCounted&) = delete;

    void add_reference() const { count_.fetch_add(1, std::memory_order_relaxed); }
    void drop_reference() const {
        if (count_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        const T* self = static_cast<const T*>(this);
        if constexpr (requires { T::destroy(self); }) {
            T::destroy(self);
        } else {
            delete self;
        }
    }

  protected:
    ~RefCounted() = default;

  private:
    mutable std::atomic<std::uint32_t> count_{0};
};

template <class T>
class RefPtr {
  public:
    RefPtr() = default;
    explicit RefPtr(T* object) : object_(object) {
        if (object_) object_->add_reference();
    }
    RefPtr(const RefPtr& other) : RefPtr(other.object_) {}
    RefPtr(RefPtr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    RefPtr& operator=(RefPtr other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~RefPtr() {
        if (object_) object_->drop_reference();
    }

    T* get() const { return object_; }
    T* operator->() const { return object_; }
    T& operator*() const { return *object_; }
    explicit operator bool() const { return object_ != nullptr; }
    friend bool operator==(const RefPtr& a, const RefPtr& b) { return a.object_ == b.object_; }

  private:
    T* object_ = nullptr;
};

}  // namespace sluice
