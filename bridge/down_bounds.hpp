#pragma once
/// What a connector may hold of the down direction.
#include <cstddef>

namespace sluice::bridge {

/// So many bytes may be unsettled before no more are taken from the upstream: a bound by number alone says
/// nothing about memory.
constexpr std::size_t down_bytes_max = 8UL << 20;

}  // namespace sluice::bridge
