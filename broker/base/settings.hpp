#pragma once
/// A setting is a row: the config loader, `sluiced --check`, the reference manual and the bounds tests all
/// read the same rows. Each room declares a plain struct of its settings and a `constexpr SettingRow` array
/// beside the class that they serve.
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/check.hpp"

namespace sluice {

enum class SettingKind : std::uint8_t {
    text,       ///< a string
    text_list,  ///< an array of strings
    boolean,
    integer,
    size,      ///< bytes: an integer, or text such as "64KiB", "1MiB", "2GiB"
    duration,  ///< milliseconds inside; text such as "20ms", "10s", "5m", "12h", "7d", or an integer of
               ///< seconds
    choice,    ///< one of `choices`
    secret,    ///< text, or "file:PATH", or "env:NAME"; never printed
    path,      ///< a file or folder; relative ones are relative to the config file
};

/// What the loader hands to a row: bool; int64 (integer, size, duration in ms, choice as its index); text;
/// list.
using SettingValue = std::variant<bool, std::int64_t, std::string, std::vector<std::string>>;

/// The member that a row is about; the structs behind the pointers are of the row's own type.
struct SettingMember {
    void (*assign)(void* settings, const SettingValue& value);
    bool (*same)(const void* a, const void* b);
    constexpr void operator()(void* settings, const SettingValue& value) const { assign(settings, value); }
};

struct SettingRow {
    std::string_view key;
    SettingKind kind;
    std::string_view
        default_text;  ///< for the manual; the struct's initialiser is what counts, a test compares the two
    std::string_view doc;  ///< one or two sentences with the unit
    SettingMember assign;
    std::int64_t minimum = 0;  ///< integer, size (bytes), duration (ms); inclusive
    std::int64_t maximum = std::numeric_limits<std::int64_t>::max();
    std::span<const std::string_view> choices = {};
    bool reloadable = false;  ///< true when SIGHUP applies it without dropping clients
    bool required = false;
    std::int64_t step = 1;  ///< duration: the value must be a whole multiple; 1000 where seconds are kept

    /// Whether two structs agree in what the row is about.
    bool same(const void* a, const void* b) const { return assign.same(a, b); }
};

namespace detail {
template <class>
struct MemberOf;
template <class C, class M>
struct MemberOf<M C::*> {
    using Class = C;
    using Value = M;
};
template <class T>
struct Unwrap {
    using Type = T;
};
template <class T>
struct Unwrap<std::optional<T>> {
    using Type = T;
};

template <auto Member>
constexpr void assign_setting(void* settings, const SettingValue& value) {
    using Traits = MemberOf<decltype(Member)>;
    using T = typename Unwrap<typename Traits::Value>::Type;
    auto& slot = static_cast<typename Traits::Class*>(settings)->*Member;
    if constexpr (std::is_same_v<T, bool>) {
        slot = std::get<bool>(value);
    } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
        const auto held = static_cast<T>(std::get<std::int64_t>(value));
        CHECK(static_cast<std::int64_t>(held) == std::get<std::int64_t>(value));
        slot = held;
    } else if constexpr (std::is_same_v<T, std::string>) {
        slot = std::get<std::string>(value);
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
        slot = std::get<std::vector<std::string>>(value);
    } else {
        const std::chrono::milliseconds given(std::get<std::int64_t>(value));
        const auto held = std::chrono::duration_cast<T>(given);
        CHECK(held == given);
        slot = held;
    }
}

template <auto Member>
constexpr bool same_setting(const void* a, const void* b) {
    using C = typename MemberOf<decltype(Member)>::Class;
    return static_cast<const C*>(a)->*Member == static_cast<const C*>(b)->*Member;
}
}  // namespace detail

/// The `assign` of a row for a member: `bind_setting<&Limits::packet_bytes_max>`. Members may be bool,
/// integers, enums (row kind `choice`, enumerators in the order of `choices`), std::chrono durations,
/// std::string, vectors of strings, or optionals of these. A row whose bounds or step let through what the
/// member cannot hold is our own mistake: it aborts instead of storing another number.
template <auto Member>
constexpr SettingMember bind_setting{&detail::assign_setting<Member>, &detail::same_setting<Member>};

}  // namespace sluice
