// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/context_core.hpp>

#include <vector>

namespace asyncio::detail {

struct context_binding {
  std::uint64_t id;
  counted_ptr<context_value> value;
};

/// An immutable set of values, sorted by variable. Copied when one of them is set.
struct context_map final : counted {
  context_map() noexcept : counted([](counted* self) noexcept { delete static_cast<context_map*>(self); }) {}
  std::vector<context_binding> entries;

  /// The variable's value; null when it has none.
  const counted_ptr<context_value>* find(std::uint64_t id) const noexcept;
};

/// A context: the values (a context_map) it has now; null for none.
struct context_cell final : counted {
  context_cell() noexcept : counted([](counted* self) noexcept { delete static_cast<context_cell*>(self); }) {}
  counted_thing values;
  bool entered = false;
};

}  // namespace asyncio::detail
