// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/concurrent_future.hpp>
#include <asyncio/event_loop.hpp>
#include <asyncio/task.hpp>

#include <type_traits>
#include <utility>

namespace asyncio {

namespace detail {

/// Puts a task's value where a concurrent future has its own. Errors: what copying it throws.
template <class T>
void give_to_threads(future_core& from, concurrent_core& to) {
  if constexpr (!std::is_void_v<T>) {
    T& value = *value_of<T>(&from);
    if constexpr (can_copy<T>) {
      if (!from.only_reference()) return emplace_concurrent<T>(&to, static_cast<const T&>(value));
    }
    emplace_concurrent<T>(&to, std::move(value));
  }
}
using give_task_value = void (*)(future_core& from, concurrent_core& to);

/// Makes `coroutine` a task of `loop`, in the loop's thread, and `to` its future.   Thread: any.
/// Errors: std::runtime_error when the loop is closed; the coroutine is destroyed here then.
void start_threadsafe(event_loop& loop, coro_core* coroutine, concurrent_ref to, give_task_value give);

template <class T>
concurrent_future<T> hand_over(coroutine<T> work, event_loop& loop) {
  if (work.raw_core() == nullptr) throw_awaited_twice();
  auto shared = concurrent_future<T>::from_core(concurrent_ref::adopt(make_concurrent<T>()));
  start_threadsafe(loop, work.release(), shared.raw_core(), &give_to_threads<T>);
  return shared;
}

}  // namespace detail

/// Runs a coroutine (or another awaitable that is moved in) as a task of `loop`, from any thread; its future, for this
/// thread to wait on. Cancelling the future cancels the task, and a task that is cancelled cancels the future. An expiry of
/// result(timeout) does not cancel the task. The coroutine runs and dies in the loop's thread, in a copy of the context of
/// the call. A loop that closes before it has started cancels the future.
/// Thread: any, the loop's too.   Errors: std::runtime_error when the loop is closed.
/// Python: asyncio.run_coroutine_threadsafe().
template <detail::spawnable A>
concurrent_future<detail::value_t<A>> run_coroutine_threadsafe(A&& awaited, event_loop& loop) {
  return detail::hand_over(detail::as_coroutine(std::forward<A>(awaited)), loop);
}
/// The same with a function that returns one, which is called in the loop's thread, and lives until the task has ended.
template <class F>
  requires detail::spawnable_call<F>
concurrent_future<detail::async_result_t<std::decay_t<F>>> run_coroutine_threadsafe(F&& f, event_loop& loop) {
  return detail::hand_over(detail::call_and_await<std::decay_t<F>>(std::forward<F>(f)), loop);
}

#define ASYNCIO_THREADSAFE_SENTENCE                                                                                 \
  "run_coroutine_threadsafe takes a coroutine (a named one by std::move) or a function that returns one, then the " \
  "loop"

template <class X>
  requires(!detail::spawnable<X> && !detail::spawnable_call<X>)
detail::refused run_coroutine_threadsafe(X&&, event_loop&) {
  static_assert(detail::spawnable<X>, ASYNCIO_THREADSAFE_SENTENCE);
  return {};
}

}  // namespace asyncio
