// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/concurrent_future.hpp>
#include <asyncio/detail/offload.hpp>
#include <asyncio/event_loop.hpp>
#include <asyncio/locks.hpp>
#include <asyncio/task.hpp>

#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>

namespace asyncio {

/// How many calls to_thread() may have in threads at once: to_thread(limiter, f, args...) waits for a token, first come,
/// first served, and gives it back when the call has ended, also when nobody waits for it any more. By itself, a semaphore
/// that knows how many tokens there are: for an executor of one's own, or for co_await async_with(limiter, body).
/// It may be destroyed while calls that it let through still run.
/// Cancel: of acquire(): safe, no token is taken.   Thread: the loop's, as a lock.   Python: anyio.CapacityLimiter.
class capacity_limiter {
 public:
  /// Errors: std::invalid_argument for no tokens, or a negative number.
  explicit capacity_limiter(std::size_t total_tokens);
  capacity_limiter(const capacity_limiter&) = delete;
  capacity_limiter& operator=(const capacity_limiter&) = delete;

  std::size_t total_tokens() const noexcept { return state_->total; }
  std::size_t borrowed_tokens() const;
  std::size_t available_tokens() const { return total_tokens() - borrowed_tokens(); }

  detail::permit_wait acquire() noexcept { return detail::permit_wait(state_->tokens); }
  /// Errors: std::runtime_error when none is borrowed.
  void release() { state_->give_back(); }
  detail::permit_wait aenter() noexcept { return acquire(); }
  detail::ready_operation_void aexit(std::exception_ptr) {
    release();
    return {};
  }

  /// The library's own.
  struct state : detail::counted {
    explicit state(std::size_t total);
    void give_back();
    detail::permits tokens;
    std::size_t total;
  };
  const detail::counted_ptr<state>& raw_state() const noexcept { return state_; }

 private:
  detail::counted_ptr<state> state_;
};

namespace detail {

template <class... X>
inline constexpr bool limited_offload = false;
template <class L, class... X>
inline constexpr bool limited_offload<L, X...> = std::same_as<L, capacity_limiter&> && offload_any<X...>;

/// In a coroutine of the library's: sends the call to the running loop's default executor, in a copy of the context.
/// `returned` is let go of when the call has ended.
void send_to_thread(offload_ptr call, future_core* to, counted_thing returned);
/// Gives a token back when it dies.
counted_thing token_of(counted_ptr<capacity_limiter::state> limiter);

template <class R>
coroutine<R> call_in_thread(offload_ptr call) {
  future<R> outcome(get_running_loop());
  send_to_thread(std::move(call), outcome.raw_core().get(), {});
  co_return co_await std::move(outcome);
}
template <class R>
coroutine<R> call_in_thread_limited(counted_ptr<capacity_limiter::state> limiter, offload_ptr call) {
  co_await permit_wait(limiter->tokens);
  counted_thing token = token_of(std::move(limiter));
  future<R> outcome(get_running_loop());
  send_to_thread(std::move(call), outcome.raw_core().get(), std::move(token));
  co_return co_await std::move(outcome);
}

}  // namespace detail

/// Calls f(args...) in a thread of the loop's default executor, once it is awaited, in a copy of the awaiting task's
/// context; what it returns or throws. For work that blocks or takes long: the loop goes on meanwhile. f and the arguments
/// are copied (or moved in) by the call, and die in the loop's thread, as the result does; what f takes by value dies
/// where it ran. An f that cannot be called without gets a std::stop_token in front of the arguments.
/// Cancel: ends the await at once; a call that waits for a thread is never made, one that runs goes on unheard, asked to
/// stop by its token.   Errors: what f throws; std::runtime_error after shutdown_default_executor().
/// Python: asyncio.to_thread().
template <class F, class... A>
  requires detail::offloadable<F, A...>
coroutine<detail::offload_result_t<F, A...>> to_thread(F&& f, A&&... args) {
  using result = detail::offload_result_t<F, A...>;
  static_assert(closure_has_a_name<F>, ASYNCIO_CLOSURE_SENTENCE);
  return detail::call_in_thread<result>(detail::make_offload<result>(std::forward<F>(f), std::forward<A>(args)...));
}
/// The same under a limit: waits for one of the limiter's tokens first.
template <class F, class... A>
  requires detail::offloadable<F, A...>
coroutine<detail::offload_result_t<F, A...>> to_thread(capacity_limiter& limiter, F&& f, A&&... args) {
  using result = detail::offload_result_t<F, A...>;
  static_assert(closure_has_a_name<F>, ASYNCIO_CLOSURE_SENTENCE);
  return detail::call_in_thread_limited<result>(
      limiter.raw_state(), detail::make_offload<result>(std::forward<F>(f), std::forward<A>(args)...));
}
template <class... X>
  requires(!detail::offload_any<X...> && !detail::limited_offload<X...>)
detail::refused to_thread(X&&...) {
  static_assert(detail::offload_any<X...>, ASYNCIO_OFFLOAD_SENTENCE);
  return {};
}

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
