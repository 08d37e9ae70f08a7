// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/plain_options.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/gather.hpp>
#include <asyncio/sleep.hpp>
#include <asyncio/task.hpp>
#include <asyncio/timeout.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

/// When wait() comes back: all are done, one is done, or one has failed (or all are done).
enum class return_when { all_completed, first_completed, first_exception };

struct wait_options {
  std::optional<timedelta> timeout = {};
  asyncio::return_when return_when = asyncio::return_when::all_completed;
};
static_assert(detail::plain_options<wait_options>);

/// What wait() found, each once, in the order of the arguments.
template <class H>
struct wait_result {
  std::vector<H> done, pending;
  wait_result(std::vector<H> d, std::vector<H> p) : done(std::move(d)), pending(std::move(p)) {}
};

namespace detail {

struct many_wait_child : waiter {
  core_ref<> child;
  class many_wait* owner = nullptr;
  bool repeated = false;  ///< it stands in an earlier place too
};

/// Waits until enough of several futures are done, or for a time. The children never learn of it.
/// A child that is done counts at once; the task is woken a turn later than by a single future, as CPython does it:
/// the op that wakes it is queued when the condition is met.
class many_wait : public wait_base, public timer_op {
 public:
  many_wait(std::vector<core_ref<>> cores, wait_options options);
  many_wait(const many_wait&) = delete;
  many_wait& operator=(const many_wait&) = delete;
  ~many_wait();

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> frame);
  void await_resume();
  bool is_repeated(std::size_t place) const noexcept { return children_[place].repeated; }
  /// Who waits.
  coro_core* task() const noexcept { return task_; }
  static void tell_owner(waiter* self, future_core* child) noexcept;

 private:
  struct late_wake : op {
    many_wait* owner = nullptr;
  };
  static bool cancel_many_wait(wait_base* self) noexcept;
  void find_repeated() noexcept;
  void child_done(future_core* child) noexcept;
  void unlink() noexcept;
  void wake_now() noexcept;

  std::vector<many_wait_child> children_;
  wait_options options_;
  std::size_t unfinished_ = 0;
  coro_core* task_ = nullptr;
  late_wake* wake_ = nullptr;  // while it waits; once queued (it has an owner then) it outlives the frame
  bool cancelled_ = false;
};

std::vector<core_ref<>> checked_for_wait(std::vector<core_ref<>> cores);

template <class H>
coroutine<wait_result<H>> wait_for_handles(std::vector<H> handles, wait_options options) {
  std::vector<core_ref<>> cores;
  cores.reserve(handles.size());
  for (const H& h : handles) cores.push_back(h.raw_core());
  cores = checked_for_wait(std::move(cores));
  many_wait waiting(std::move(cores), options);
  co_await detail::in_place(waiting);
  std::vector<H> done, pending;
  for (std::size_t i = 0; i < handles.size(); ++i) {
    if (waiting.is_repeated(i)) continue;
    (handles[i].done() ? done : pending).push_back(std::move(handles[i]));
  }
  co_return wait_result<H>(std::move(done), std::move(pending));
}

coroutine<wait_result<any_task>> wait_for_any(const any_task* first, std::size_t count, wait_options options);

template <class V>
inline constexpr bool is_handle_vector = false;
template <class H>
inline constexpr bool is_handle_vector<std::vector<H>> = is_handle<H>;

#define ASYNCIO_WAIT_SENTENCE "wait takes handles, not coroutines: make tasks of them first, with create_task"
template <class... X>
inline constexpr bool are_handles = (is_handle<std::remove_cvref_t<X>> && ...);

}  // namespace detail

/// Waits for several tasks or futures; cancels none of them, throws none of their exceptions, no timeout_error either.
/// Cancel: safe; those waited for go on.   Errors: std::invalid_argument when there is nothing to wait for.
/// Python: asyncio.wait().
template <class H>
  requires detail::is_handle<H>
coroutine<wait_result<H>> wait(std::vector<H> handles, wait_options options = {}) {
  return detail::wait_for_handles<H>(std::move(handles), options);
}
/// The same for handles of any types, without a vector: wait({.return_when = …}, a, b).
template <class... H>
  requires(sizeof...(H) > 0) && (detail::is_handle<H> && ...)
coroutine<wait_result<any_task>> wait(wait_options options, const H&... handles) {
  const any_task all[] = {any_task(handles)...};
  return detail::wait_for_any(all, sizeof...(H), options);
}
template <class V>
  requires(!detail::is_handle_vector<std::remove_cvref_t<V>> && !std::convertible_to<V, wait_options> &&
           requires(V& v) {
             v.begin();
             v.end();
           })
detail::refused wait(V&&, wait_options = {}) {
  static_assert(detail::is_handle_vector<std::remove_cvref_t<V>>, ASYNCIO_WAIT_SENTENCE);
  return {};
}
template <class... X>
  requires(sizeof...(X) > 0) && (!detail::are_handles<X...>)
detail::refused wait(wait_options, X&&...) {
  static_assert(detail::are_handles<X...>,
                ASYNCIO_WAIT_SENTENCE " (a vector of handles comes first, its options second)");
  return {};
}

namespace detail {

struct completion_state;

/// A user of the state behind as_completed(): the iterator, and each call of its next(). With the last of them it stops
/// to listen.
class completion_ref {
 public:
  /// Takes over one use.
  explicit completion_ref(completion_state* state) noexcept : state_(state) {}
  completion_ref(const completion_ref& other) noexcept;
  completion_ref(completion_ref&& other) noexcept : state_(taken(other.state_)) {}
  completion_ref& operator=(completion_ref other) noexcept {
    swap_pointers(state_, other.state_);
    return *this;
  }
  ~completion_ref() {
    if (state_ != nullptr) drop();
  }
  completion_state* operator->() const noexcept { return state_; }
  /// Errors: invalid_state_error when it was moved from; std::runtime_error in a thread that is not the loop's.
  void check(const char* call) const;

 private:
  void drop() noexcept;
  completion_state* state_;
};
completion_ref start_completions(std::vector<core_ref<>> cores, std::optional<timedelta> timeout);

/// Waits for the next of several futures to be done; null when none is left.
class next_completion : public wait_base {
 public:
  explicit next_completion(completion_ref state) noexcept : state_(std::move(state)) {}
  next_completion(const next_completion&) = delete;
  next_completion& operator=(const next_completion&) = delete;
  ~next_completion();
  bool await_ready();
  void await_suspend(std::coroutine_handle<> frame);
  core_ref<> await_resume();

 private:
  friend struct completion_state;
  completion_ref state_;
  coro_core* task_ = nullptr;
  bool cancelled_ = false;
};

}  // namespace detail

/// The iterator that as_completed() gives.
template <class H>
class completions {
 public:
  completions(std::vector<detail::core_ref<>> cores, std::optional<timedelta> timeout)
      : state_(detail::start_completions(std::move(cores), timeout)) {}
  completions(completions&& other) noexcept = default;
  completions& operator=(completions&& other) noexcept = default;

  /// The next one that is done, or nothing when all were given. The iterator may be moved or dropped meanwhile.
  /// Cancel: safe, none is lost.
  /// Errors: timeout_error when the time is over, once for each that was not done by then; the tasks go on.
  /// invalid_state_error when it was moved from.
  coroutine<std::optional<H>> next() {
    state_.check("as_completed().next()");
    return next_of(state_);
  }

 private:
  static coroutine<std::optional<H>> next_of(detail::completion_ref state) {
    detail::next_completion waiting(std::move(state));
    detail::core_ref<> done = co_await detail::in_place(waiting);
    std::optional<H> result;
    if (done) result = H::from_core(std::move(done));
    co_return result;
  }

  detail::completion_ref state_;
};

namespace detail {
template <class A>
struct as_task {
  using type = task<value_t<A>>;
};
template <class A>
  requires is_handle<A>
struct as_task<A> {
  using type = A;
};
template <class H, class A>
H as_handle(A&& awaited) {
  if constexpr (is_handle<std::remove_cvref_t<A>>)
    return std::forward<A>(awaited);
  else
    return start(nullptr, as_coroutine(std::forward<A>(awaited)));
}
}  // namespace detail

/// Gives awaitables in the order in which they are done: while (auto t = co_await it.next()) use(t->result());
/// Handles come back as the caller's own; all else becomes tasks. Python: asyncio.as_completed().
template <detail::awaitable_range R>
completions<typename detail::as_task<detail::range_value_t<R>>::type> as_completed(
    R&& range, std::optional<timedelta> timeout = {}) {
  using H = typename detail::as_task<detail::range_value_t<R>>::type;
  std::vector<H> handles;
  for (auto&& element : range) {
    if constexpr (std::is_lvalue_reference_v<R> || !std::is_lvalue_reference_v<decltype(element)>)
      handles.push_back(detail::as_handle<H>(std::forward<decltype(element)>(element)));
    else
      handles.push_back(detail::as_handle<H>(std::move(element)));
  }
  std::vector<detail::core_ref<>> cores;
  cores.reserve(handles.size());
  for (const H& h : handles) cores.push_back(h.raw_core());
  return completions<H>(std::move(cores), timeout);
}

namespace detail {

/// Ends `core` and waits until it has ended; its outcome stays in it.
coroutine<> cancel_and_wait(core_ref<> core);
/// Cancelled by the deadline: a timeout_error; else what result() throws.
void check_after_timeout(future_core* core);

template <class T>
coroutine<T> wait_no_longer(core_ref<> core) {
  if (!core) throw_empty_handle();
  core->check_thread("wait_for()");
  if (!core->is_done()) {
    co_await cancel_and_wait(core);
    check_after_timeout(core.get());
  }
  core->check_result();
  if constexpr (!std::is_void_v<T>) co_return take_value<T>(core.get());
}

template <class T, class A>
coroutine<T> wait_in_time(A awaited, std::optional<timedelta> limit) {
  timeout scope(limit);
  scope.enter();
  std::exception_ptr error;
  std::optional<stored_t<T>> value;
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::forward<A>(awaited);
      value.emplace();
    } else {
      value.emplace(co_await std::forward<A>(awaited));
    }
  } catch (...) {
    error = std::current_exception();
  }
  scope.exit(error);
  if (error != nullptr) std::rethrow_exception(error);
  if constexpr (!std::is_void_v<T>) co_return std::move(*value);
}

/// A coroutine that is not to be started after all: gone without a word.
class unstarted {
 public:
  explicit unstarted(coro_core* core) noexcept : core_(core) {}
  unstarted(unstarted&& other) noexcept : core_(taken(other.core_)) {}
  unstarted& operator=(unstarted&&) = delete;
  ~unstarted() { drop(); }
  void drop() noexcept {
    if (core_ != nullptr) discard(taken(core_));
  }

 private:
  coro_core* core_;
};
template <class T>
coroutine<T> throw_timeout(unstarted never_run) {
  co_await ready_operation_void();
  never_run.drop();
  throw timeout_error();
}

/// In place of one that will not run, under its name.
template <class T>
coroutine<T> time_is_over(coroutine<T> never_run) {
  coro_core* core = never_run.release();
  if (core == nullptr) throw_awaited_twice();
  const std::source_location origin = core->origin;
  coroutine<T> instead = throw_timeout<T>(unstarted(core));
  instead.raw_core()->origin = origin;
  return instead;
}

}  // namespace detail

/// Awaits for at most `timeout`; then cancels what it awaits, waits until that has really ended, and throws
/// timeout_error. nullopt: no limit. A value that comes in spite of the cancellation is returned.
/// Cancel: the awaited is cancelled too (shield() prevents that).   Python: asyncio.wait_for().
template <awaitable A>
coroutine<detail::value_t<A>> wait_for(A&& awaited, std::optional<timedelta> timeout) {
  using value = detail::value_t<A>;
  using plain = std::remove_cvref_t<A>;
  const bool at_once = timeout && timeout->count().count() <= 0;
  if constexpr (detail::is_handle<plain>) {
    if (at_once) return detail::wait_no_longer<value>(awaited.raw_core());
    return detail::wait_in_time<value, plain>(std::forward<A>(awaited), timeout);
  } else {
    static_assert(!std::is_lvalue_reference_v<A>, "a named coroutine is handed over with std::move");
    if constexpr (detail::is_coroutine<plain>) {
      if (at_once) return detail::time_is_over<value>(std::forward<A>(awaited));
    } else {
      if (at_once) return detail::time_is_over<value>(detail::as_coroutine(std::forward<A>(awaited)));
    }
    return detail::wait_in_time<value, plain>(std::forward<A>(awaited), timeout);
  }
}

template <awaitable A, class a_number_without_a_unit_write_5s_or_100ms>
  requires std::is_arithmetic_v<a_number_without_a_unit_write_5s_or_100ms>
void wait_for(A&&, a_number_without_a_unit_write_5s_or_100ms) = delete;

namespace detail {

struct shield_core;

/// What listens to the shielded future on behalf of the outer one; after the outer one was cancelled it stays to report
/// an exception that nobody else can see any more.
struct shield_link : waiter, op, close_hook {
  core_ref<> inner;
  core_ref<> outer;
  void (*copy_value)(future_core* from, future_core* to) = nullptr;
};
void start_shield(shield_link* link);
/// Errors: std::runtime_error in a wrong thread, or when the loop is closed.
inbox& home_for_shield(const core_ref<>& core);

template <class T>
void copy_value(future_core* from, future_core* to) {
  if constexpr (!std::is_void_v<T>) emplace_value<T>(to, take_value<T>(from));
  to->finish_value();
}

}  // namespace detail

/// A future that ends as `awaited` does, but whose cancellation does not reach it. Something done already comes back as
/// it is.   Python: asyncio.shield().
template <awaitable A>
future<detail::value_t<A>> shield(A&& awaited) {
  using value = detail::value_t<A>;
  detail::core_ref<> inner = detail::as_child(std::forward<A>(awaited));
  if (inner->is_done()) return future<value>::from_core(std::move(inner));
  auto* core = detail::make_future_core<value>(&detail::home_for_shield(inner));
  future<value> outer = future<value>::from_core(detail::core_ref<>::adopt(core));
  auto* link = new detail::shield_link;
  link->inner = std::move(inner);
  link->outer = outer.raw_core();
  link->copy_value = &detail::copy_value<value>;
  detail::start_shield(link);
  return outer;
}

}  // namespace asyncio
