// SPDX-License-Identifier: BSL-1.0
// std::exchange and std::swap for pointers. Those ask for several traits of each type to say whether they can throw,
// which every file that includes us would pay for.
#pragma once

namespace asyncio::detail {

/// The pointer; the place it was taken out of is null then.
template <class X>
constexpr X* taken(X*& place) noexcept {
  X* was = place;
  place = nullptr;
  return was;
}

template <class X>
constexpr void swap_pointers(X*& a, X*& b) noexcept {
  X* was = a;
  a = b;
  b = was;
}

}  // namespace asyncio::detail
