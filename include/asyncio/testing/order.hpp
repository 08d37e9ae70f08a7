// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/testing/callable_ref.hpp>

#include <cstddef>

namespace asyncio::testing {

namespace detail {
std::size_t each_order(std::size_t orders, body_ref body);
}  // namespace detail

/// Runs a body `orders` times, each time with the steps of its tasks in another order: first come, first served in the
/// first run, then as run(body, {.seed = 1}), {.seed = 2} … do. Each run has a virtual clock of its own, and may leave
/// nothing behind. The body is called anew for each; what it returns is dropped.
/// Returns how many of the orders differed: 1 says that the body has no two tasks that are ready in the same turn.
/// Errors: what a run threw, std::logic_error for what it left over, deadlock_error; before that, a line in the log names the seed.
/// Thread: any in which no loop runs.
template <class F>
  requires asyncio::detail::async_callable<F&>
std::size_t for_each_order(std::size_t orders, F&& body) {
  return detail::each_order(orders, detail::body_ref(body));
}

}  // namespace asyncio::testing
