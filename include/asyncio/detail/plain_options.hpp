// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace asyncio::detail {

/// Options are written as {.name = value} where they are given, so they must be initialised member by member; and GCC 12
/// destroys what such braces hold too early or twice in a coroutine unless nothing is to be destroyed.
/// The compilers' own questions: the traits of <type_traits> would cost every file that includes us some milliseconds.
template <class T>
inline constexpr bool plain_options = __is_aggregate(T) && __is_trivially_copyable(T);

}  // namespace asyncio::detail
