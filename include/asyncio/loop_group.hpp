// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/concurrent_future.hpp>
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/event_loop.hpp>
#include <asyncio/task.hpp>
#include <asyncio/threads.hpp>

#include <cstddef>
#include <exception>
#include <string_view>
#include <type_traits>
#include <utility>

namespace asyncio {

/// How the threads of a loop_group are made. `threads`: 0, one for each processor. `name`: of the threads, which are
/// called "name_0", "name_1", …. `loop`: how each makes its loop; a clock in there is shared by the threads.
struct loop_group_options {
  std::size_t threads = 0;
  std::string_view name = "loop";
  run_options loop = {};
};

namespace detail {

class loop_group_core;

/// One coroutine that a group has taken; goes with its frame.
class group_ticket {
 public:
  group_ticket(loop_group_core* core, std::size_t at) noexcept : core_(core), at_(at) {}
  group_ticket(group_ticket&& other) noexcept : core_(taken(other.core_)), at_(other.at_) {}
  group_ticket& operator=(const group_ticket&) = delete;
  ~group_ticket();

 private:
  loop_group_core* core_;
  std::size_t at_;
};

/// A submit() under way: until it is over, no loop of the group closes.
class group_entry {
 public:
  static constexpr std::size_t least_busy = static_cast<std::size_t>(-1);
  /// Errors: std::runtime_error when the group is shut down; std::out_of_range.
  group_entry(loop_group_core* core, std::size_t at);
  group_entry(const group_entry&) = delete;
  group_entry& operator=(const group_entry&) = delete;
  ~group_entry();
  event_loop& loop() const noexcept;
  group_ticket take_ticket() noexcept { return group_ticket(taken(ticket_), at_); }

 private:
  loop_group_core* core_;
  loop_group_core* ticket_;
  std::size_t at_;
};

void report_unretrieved_in_group(const std::exception_ptr& error) noexcept;

// NOLINTNEXTLINE(performance-unnecessary-value-param): it lives as long as the frame
template <class T>
coroutine<T> with_ticket([[maybe_unused]] group_ticket ticket, coroutine<T> work) {
  co_return co_await name_task_after(std::move(work));
}

template <class F, class... A>
coroutine<std::decay_t<std::invoke_result_t<F, A...>>> call_in_task(F f, A... args) {
  co_return detail::invoke(std::move(f), std::move(args)...);
}

template <class X, class... A>
concept plain_submittable = !spawnable_call<X, A...> && plain_callable<std::decay_t<X>, std::decay_t<A>...>;
template <class... X>
inline constexpr bool submittable = false;
template <class X, class... A>
inline constexpr bool submittable<X, A...> =
    (sizeof...(A) == 0 && spawnable<X>) || spawnable_call<X, A...> || plain_submittable<X, A...>;

#define ASYNCIO_SUBMIT_SENTENCE                                                                                    \
  "submit takes a coroutine (a named one by std::move), or a function and its arguments; submit_to the number of " \
  "a loop in front of them"

/// What submit() takes, as a coroutine.
template <class X, class... A>
auto as_work(X&& x, A&&... args) {
  if constexpr (spawnable_call<X, A...>)
    return call_and_await<std::decay_t<X>, std::decay_t<A>...>(std::forward<X>(x), std::forward<A>(args)...);
  else if constexpr (plain_submittable<X, A...>)
    return call_in_task<std::decay_t<X>, std::decay_t<A>...>(std::forward<X>(x), std::forward<A>(args)...);
  else
    return coroutine<value_t<X>>(as_coroutine(std::forward<X>(x)));
}

}  // namespace detail

/// Threads with an event loop each. What is submitted runs as a task of one of the loops, in its thread from beginning to
/// end; what the tasks share they share by channel<T>, or under locks of their own. The threads hear no signals.
/// Thread: any, of submit, submit_to, loop, size and pending; the others one at a time.   Python: none.
class loop_group {
 public:
  /// Starts the threads; their loops run when this returns. Errors: std::system_error; then no thread is left.
  explicit loop_group(loop_group_options options = {});
  explicit loop_group(std::size_t threads) : loop_group(loop_group_options{.threads = threads}) {}
  loop_group(loop_group&& other) noexcept : core_(detail::taken(other.core_)) {}
  loop_group& operator=(const loop_group&) = delete;
  /// shutdown(), which waits; while an exception is on its way, shutdown(true). It blocks, in a coroutine too: use
  /// async_with there. In one of its own threads it cannot wait: it cancels, and lets go of the threads.
  ~loop_group();

  /// Runs a coroutine (or another awaitable that is moved in), or f(args...), as a task of the loop that has the least to
  /// do: that whose number of submitted and unfinished tasks is lowest. f may return a coroutine or a plain value; it and
  /// its arguments are copied, and live in the loop's thread until the task ends. The future tells the outcome, and
  /// cancels the task; an exception that nobody has looked at when the future is forgotten is logged.
  /// Errors: std::runtime_error after shutdown(); the coroutine is destroyed then.
  template <class... X>
    requires detail::submittable<X...>
  auto submit(X&&... work) {
    return start(detail::group_entry::least_busy, detail::as_work(std::forward<X>(work)...));
  }
  /// The same in the loop of this number. Errors: std::out_of_range as well.
  template <class... X>
    requires detail::submittable<X...>
  auto submit_to(std::size_t index, X&&... work) {
    return start(index, detail::as_work(std::forward<X>(work)...));
  }
  template <class... X>
    requires(!detail::submittable<X...>)
  detail::refused submit(X&&...) {
    static_assert(detail::submittable<X...>, ASYNCIO_SUBMIT_SENTENCE);
    return {};
  }
  template <class... X>
    requires(!detail::submittable<X...>)
  detail::refused submit_to(std::size_t, X&&...) {
    static_assert(detail::submittable<X...>, ASYNCIO_SUBMIT_SENTENCE);
    return {};
  }

  /// One of the loops, for call_soon_threadsafe() and the like, until shutdown() closes it.
  /// Errors: std::out_of_range; std::runtime_error when it is closed.
  event_loop& loop(std::size_t index) const;
  std::size_t size() const noexcept;
  /// How much was submitted and has not ended; in all loops, or in one.
  std::size_t pending() const noexcept;
  std::size_t pending(std::size_t index) const;

  /// Takes nothing more, waits until all that was submitted has ended, and ends the threads. What a submitted task left
  /// running in its loop is cancelled then, as at the end of run(). With `cancel_tasks` everything is cancelled at once,
  /// and waited for. It blocks this thread. Idempotent; shutdown(true) hurries one that waits in another thread.
  /// Errors: std::runtime_error in a coroutine or callback: co_await aclose() there.
  void shutdown(bool cancel_tasks = false);
  /// shutdown() for coroutines: the loop goes on meanwhile. Cancel: cancels what was submitted, waits for its end all the
  /// same, and throws then.   Errors: std::runtime_error in one of the group's own loops.
  coroutine<> aclose(bool cancel_tasks = false);

  /// What async_with does: aclose() when the body is done, aclose(true) when it has thrown.
  coroutine<> aenter();
  coroutine<> aexit(std::exception_ptr error);

 private:
  template <class T>
  concurrent_future<T> start(std::size_t at, coroutine<T> work) {
    detail::group_entry entry = enter(at, work);
    auto future = detail::hand_over(detail::with_ticket<T>(entry.take_ticket(), std::move(work)), entry.loop());
    future.raw_core()->set_unretrieved(&detail::report_unretrieved_in_group);
    return future;
  }

  template <class T>
  detail::group_entry enter(std::size_t at, coroutine<T>& work) {
    try {
      return detail::group_entry(core_, at);
    } catch (...) {
      if (work.raw_core() != nullptr) detail::discard(work.release());
      throw;
    }
  }

  detail::loop_group_core* core_;  // null: moved from
};

}  // namespace asyncio
