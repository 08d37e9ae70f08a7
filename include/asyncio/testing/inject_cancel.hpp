// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/testing/callable_ref.hpp>

#include <concepts>
#include <cstddef>

namespace asyncio::testing {

/// How inject_cancel() cancels.
struct inject_options {
  /// Once more, a turn after the first time: while the body cleans up. A body passes if its cleanup needs no await, or is
  /// shielded.
  bool twice = false;
  /// Every task of the loop at the same moment, as run() does to those that are left, and not the body's alone.
  bool all_tasks = false;
};

namespace detail {
std::size_t each_cancel(body_ref body, check_ref check, inject_options options);
inline void check_nothing() noexcept {}
}  // namespace detail

/// Runs a body again and again on a virtual clock. The first time it is cancelled at the first point after its first
/// step, then at the second, the third …, until it ends before that. A point is the moment between any two things that
/// the loop runs, be they steps of tasks or callbacks, and between two turns. So every suspension of the body is among
/// them, in every state that the other tasks are in meanwhile; and what it waits for may just have been done, or be about
/// to be done in the same turn. Each time it must end, and leave nothing behind; then `check` is called, which throws when
/// something else that must hold does not.
/// Returns how many times it was cancelled.
/// Errors: what the body threw other than its cancellation, what `check` threw, std::logic_error for what is left over,
/// deadlock_error when nothing can wake a task; before that, a line in the log says at which point.   Thread: any in which no loop runs.
template <class F, class C>
  requires asyncio::detail::async_callable<F&> && std::invocable<C&>
std::size_t inject_cancel(F&& body, C&& check, inject_options options = {}) {
  return detail::each_cancel(detail::body_ref(body), detail::check_ref(check), options);
}
/// The same without a check.
template <class F>
  requires asyncio::detail::async_callable<F&>
std::size_t inject_cancel(F&& body, inject_options options = {}) {
  return detail::each_cancel(detail::body_ref(body), detail::check_ref(detail::check_nothing), options);
}

}  // namespace asyncio::testing
