#pragma once
/// Result<T, E>: a value, or the reason why there is none. For what a peer or the world did wrong.
#include <optional>
#include <utility>
#include <variant>

#include "base/check.hpp"

namespace sluice {

/// Wraps an error so that it converts to any Result with that error type: `return
/// Err{ReasonCode::malformed_packet};`
template <class E>
struct Err {
    E error;
};
template <class E>
Err(E) -> Err<E>;

template <class T, class E>
class [[nodiscard]] Result {
  public:
    Result(T value)
        : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
    template <class G>
    Result(Err<G> err)
        : state_(std::in_place_index<1>, std::move(err.error)) {}  // NOLINT(google-explicit-constructor)

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    /// The value; aborts when there is none: ask ok() first.
    T& value() & {
        CHECK(ok());
        return *std::get_if<0>(&state_);
    }
    const T& value() const& {
        CHECK(ok());
        return *std::get_if<0>(&state_);
    }
    T&& value() && {
        CHECK(ok());
        return std::move(*std::get_if<0>(&state_));
    }
    T& operator*() { return value(); }
    const T& operator*() const { return value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    /// The error; aborts when there is a value.
    const E& error() const {
        CHECK(!ok());
        return *std::get_if<1>(&state_);
    }

  private:
    std::variant<T, E> state_;
};

/// A step that yields nothing but may fail.
template <class E>
class [[nodiscard]] Result<void, E> {
  public:
    Result() = default;
    template <class G>
    Result(Err<G> err) : error_(std::move(err.error)) {}  // NOLINT(google-explicit-constructor)

    bool ok() const { return !error_.has_value(); }
    explicit operator bool() const { return ok(); }
    const E& error() const {
        CHECK(!ok());
        return *error_;
    }

  private:
    std::optional<E> error_;
};

}  // namespace sluice
