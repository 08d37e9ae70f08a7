// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/context.hpp>
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/plain_options.hpp>
#include <asyncio/future.hpp>
#include <asyncio/outcome.hpp>
#include <asyncio/time.hpp>

#include <concepts>
#include <cstddef>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

class call_graph;

/// How a task is made. `name`: default "Task-N". `context`: that which it runs in, instead of a copy of its creator's.
/// `eager_start`: run it at once, up to its first suspension.
struct task_options {
  std::string_view name = {};
  const asyncio::context* context = nullptr;
  std::optional<bool> eager_start = {};
};
static_assert(detail::plain_options<task_options>);

namespace detail {

std::string task_name(const future_core* core);
void set_task_name(future_core* core, std::string name);
int task_cancelling(const future_core* core) noexcept;
int task_uncancel(future_core* core) noexcept;
std::string describe_task(const future_core* core);
coro_core* start_task(loop_core* loop, coro_core* core, task_options options);

}  // namespace detail

/// A coroutine that runs by itself on its loop. A handle: copying it is cheap, dropping it does not stop the task, which
/// the loop owns until it is done. `task<> t;` is an empty handle.   Python: asyncio.Task.
template <class T = void>
class task : public future<T> {
 public:
  /// An empty handle: `if (t)` is false, every use throws invalid_state_error.
  task() noexcept : future<T>(detail::core_ref<>()) {}
  explicit operator bool() const noexcept { return static_cast<bool>(this->raw_core()); }

  template <class U = T>
  void set_result(U&&) const = delete;  // a task's result comes from its coroutine
  void set_exception(std::exception_ptr) const = delete;

  /// Calls f(task) in a turn of its own once done. A callable that takes a future<T> fits too.
  template <detail::plain_callable<task> F>
  callback_token add_done_callback(F f) const {
    return detail::add_callback<task>(this->core("task.add_done_callback()"), std::move(f));
  }

  /// How many requests to cancel were made and not taken back.  Python: Task.cancelling().
  int cancelling() const { return detail::task_cancelling(this->core("task.cancelling()")); }
  /// Takes one request back; the count that is left. At 0 a request not yet delivered is dropped.
  int uncancel() const { return detail::task_uncancel(this->core("task.uncancel()")); }
  /// The context that it runs in.
  context get_context() const;
  /// Its suspended coroutines, and who waits for it: see introspect.hpp.   Python: Task.get_stack().
  call_graph get_stack() const;
  /// Writes them to a stream, the innermost last.   Python: Task.print_stack().
  void print_stack(std::ostream& stream) const;
  std::string get_name() const { return detail::task_name(this->core("task.get_name()")); }
  void set_name(std::string name) const { detail::set_task_name(this->core("task.set_name()"), std::move(name)); }

  static task from_core(detail::core_ref<> core) noexcept { return task(std::move(core)); }

 private:
  explicit task(detail::core_ref<> core) noexcept : future<T>(std::move(core)) {}
};

/// Any task or future, its type forgotten: for collections of mixed ones. Awaiting it waits, throws its exception, and
/// yields nothing.
class any_task {
 public:
  any_task() noexcept = default;
  template <class T>
  any_task(const future<T>& f) : core_(f.raw_core()) {}

  explicit operator bool() const noexcept { return static_cast<bool>(core_); }
  bool done() const { return core("any_task.done()")->is_done(); }
  bool cancelled() const { return core("any_task.cancelled()")->state == detail::future_state::cancelled; }
  std::exception_ptr exception() const { return core("any_task.exception()")->get_exception(); }
  bool cancel(std::string message = {}) const {
    detail::future_core* c = core("any_task.cancel()");
    return c->kind->cancel(c, detail::shared_text(std::move(message)));
  }
  int cancelling() const { return detail::task_cancelling(core("any_task.cancelling()")); }
  int uncancel() const { return detail::task_uncancel(core("any_task.uncancel()")); }
  std::string get_name() const { return detail::task_name(core("any_task.get_name()")); }
  /// The context that the task runs in.
  context get_context() const;
  /// Its suspended coroutines, and who waits for it: see introspect.hpp.   Python: Task.get_stack().
  call_graph get_stack() const;
  /// Writes them to a stream, the innermost last.   Python: Task.print_stack().
  void print_stack(std::ostream& stream) const;
  void set_name(std::string name) const { detail::set_task_name(core("any_task.set_name()"), std::move(name)); }
  template <detail::plain_callable<any_task> F>
  callback_token add_done_callback(F f) const {
    return detail::add_callback<any_task>(core("any_task.add_done_callback()"), std::move(f));
  }
  bool remove_done_callback(callback_token token) const {
    return detail::unlink_done_callback(core("any_task.remove_done_callback()"), token);
  }
  event_loop& get_loop() const { return detail::face_of(core("any_task.get_loop()")); }

  /// The typed handle again; empty when it is not a task with a result of type T.
  template <class T>
  std::optional<task<T>> as() const {
    if (!core_ || core_->kind != &detail::task_kind<T>) return std::nullopt;
    return task<T>::from_core(core_);
  }

  friend bool operator==(const any_task& a, const any_task& b) noexcept { return a.core_.get() == b.core_.get(); }

  class awaiter : public detail::future_wait {
   public:
    using future_wait::future_wait;
    void await_resume() { settle(); }
  };
  awaiter operator co_await() const& { return awaiter(core_); }

  static any_task from_core(detail::core_ref<> core) noexcept {
    any_task t;
    t.core_ = std::move(core);
    return t;
  }
  const detail::core_ref<>& raw_core() const noexcept { return core_; }

 private:
  detail::future_core* core(const char* call) const {
    if (!core_) [[unlikely]]
      detail::throw_empty_handle();
    core_->check_thread(call);
    return core_.get();
  }

  detail::core_ref<> core_;
};

template <class T>
context task<T>::get_context() const {
  return any_task(*this).get_context();
}

template <class T>
void task<T>::print_stack(std::ostream& stream) const {
  any_task(*this).print_stack(stream);
}

namespace detail {

template <class T>
inline constexpr bool is_handle = false;
template <class T>
inline constexpr bool is_handle<future<T>> = true;
template <class T>
inline constexpr bool is_handle<task<T>> = true;
template <>
inline constexpr bool is_handle<any_task> = true;

/// Any awaitable as a coroutine, which keeps it alive.
template <class A>
coroutine<value_t<A>> await_one(A awaited) {
  co_return co_await std::move(awaited);
}

/// The running task is made of a call: it has the name and the place of the coroutine that it calls.
template <class A>
A&& name_task_after(A&& called) noexcept {
  if constexpr (is_coroutine<std::remove_cvref_t<A>>) {
    if (const coro_core* inner = called.raw_core();
        inner != nullptr && here.task != nullptr && here.task->top == here.task->frame()) {
      here.task->origin = inner->origin;
      here.task->wrapper = true;
    }
  }
  return static_cast<A&&>(called);
}

/// Calls a coroutine function with arguments that live, with the function object, until the coroutine has ended. The
/// call stands in the co_await itself, so that what an argument is converted to (a string literal to a std::string)
/// lives as long.
template <class F, class... A>
  requires(!std::is_member_pointer_v<F>)
coroutine<async_result_t<F, A...>> call_and_await(F f, A... args) {
  co_return co_await name_task_after(std::move(f)(std::move(args)...));
}
template <class F, class X, class... A>
  requires std::is_member_pointer_v<F>
coroutine<async_result_t<F, X, A...>> call_and_await(F member, X object, A... args) {
  if constexpr (std::is_member_function_pointer_v<F>)
    co_return co_await name_task_after((detail::object_of(member, std::move(object)).*member)(std::move(args)...));
  else
    co_return co_await std::move(detail::object_of(member, std::move(object)).*member);
}

template <class T>
coroutine<T>&& as_coroutine(coroutine<T>&& c) noexcept {
  return std::move(c);
}
template <class A>
coroutine<value_t<A>> as_coroutine(A&& awaited) {
  return await_one<std::remove_cvref_t<A>>(std::forward<A>(awaited));
}

// Without options no options object is made: its bytes would be written one by one and read at once, which stalls.
template <class T>
task<T> start(loop_core* loop, coroutine<T>&& c) {
  coro_core* core = c.release();
  if (core == nullptr) [[unlikely]]
    throw_awaited_twice();
  return task<T>::from_core(core_ref<>::adopt(start_task(loop, core)));
}
template <class T>
task<T> start(loop_core* loop, coroutine<T>&& c, const task_options& options) {
  coro_core* core = c.release();
  if (core == nullptr) [[unlikely]]
    throw_awaited_twice();
  return task<T>::from_core(core_ref<>::adopt(start_task(loop, core, options)));
}

template <class A>
concept spawnable = awaitable<A> && !std::is_lvalue_reference_v<A>;
template <class F, class... A>
concept spawnable_call = async_callable<std::decay_t<F>, std::decay_t<A>...> && !awaitable<F>;

template <class... X>
inline constexpr bool spawnable_any = false;
template <class X>
inline constexpr bool spawnable_any<X> = spawnable<X> || spawnable_call<X>;
template <class X, class Y, class... Z>
inline constexpr bool spawnable_any<X, Y, Z...> =
    (spawnable<X> && sizeof...(Z) == 0 && std::convertible_to<Y, task_options>) || spawnable_call<X, Y, Z...> ||
    (std::convertible_to<X, task_options> && async_callable<std::decay_t<Y>, std::decay_t<Z>...>);

#define ASYNCIO_SPAWN_SENTENCE                                                                                        \
  "create_task takes a coroutine or another awaitable (a named coroutine by std::move), or a coroutine function and " \
  "its arguments"
#define ASYNCIO_SPAWN_ORDER_SENTENCE \
  "create_task takes an awaitable first and its options second: create_task(f(), {.name = \"x\"})"
template <class... X>
inline constexpr bool never = false;

/// create_task() in its three forms, for whatever can start tasks: Derived provides adopt_child(coroutine, options).
template <class Derived>
class spawner {
 public:
  template <spawnable A>
  task<value_t<A>> create_task(A&& awaited) {
    return start_here(as_coroutine(std::forward<A>(awaited)), {});
  }
  template <spawnable A>
  task<value_t<A>> create_task(A&& awaited, task_options options) {
    return start_here(as_coroutine(std::forward<A>(awaited)), options);
  }
  template <class F, class... A>
    requires spawnable_call<F, A...>
  task<async_result_t<std::decay_t<F>, std::decay_t<A>...>> create_task(F&& f, A&&... args) {
    return start_here(call_and_await<std::decay_t<F>, std::decay_t<A>...>(std::forward<F>(f), std::forward<A>(args)...),
                      {});
  }
  template <class F, class... A>
    requires async_callable<std::decay_t<F>, std::decay_t<A>...>
  task<async_result_t<std::decay_t<F>, std::decay_t<A>...>> create_task(task_options options, F&& f, A&&... args) {
    return start_here(call_and_await<std::decay_t<F>, std::decay_t<A>...>(std::forward<F>(f), std::forward<A>(args)...),
                      options);
  }
  template <class... X>
    requires(sizeof...(X) > 0 && !spawnable_any<X...>)
  refused create_task(X&&...) {
    static_assert(spawnable_any<X...>, ASYNCIO_SPAWN_SENTENCE);
    return {};
  }
  template <spawnable A>
  refused create_task(task_options, A&&) {
    static_assert(never<A>, ASYNCIO_SPAWN_ORDER_SENTENCE);
    return {};
  }

 private:
  friend Derived;
  spawner() = default;
  template <class T>
  task<T> start_here(coroutine<T> c, task_options options) {
    return static_cast<Derived*>(this)->adopt_child(std::move(c), options);
  }
};

}  // namespace detail

/// Starts a task on the running loop; its first step comes in the next turn, in order of creation. The loop owns it.
/// Errors: std::runtime_error outside a running loop.   Python: asyncio.create_task().
template <detail::spawnable A>
task<detail::value_t<A>> create_task(A&& awaited) {
  return detail::start(nullptr, detail::as_coroutine(std::forward<A>(awaited)));
}
template <detail::spawnable A>
task<detail::value_t<A>> create_task(A&& awaited, task_options options) {
  return detail::start(nullptr, detail::as_coroutine(std::forward<A>(awaited)), options);
}
/// Calls f(args...) as a task, as std::thread would: the closure and the decayed arguments live until the task ends
/// (std::ref for a reference).
template <class F, class... A>
  requires detail::spawnable_call<F, A...>
task<detail::async_result_t<std::decay_t<F>, std::decay_t<A>...>> create_task(F&& f, A&&... args) {
  return detail::start(nullptr, detail::call_and_await<std::decay_t<F>, std::decay_t<A>...>(std::forward<F>(f),
                                                                                            std::forward<A>(args)...));
}
/// The same with options in front: create_task({.name = "x"}, f, args...).
template <class F, class... A>
  requires detail::async_callable<std::decay_t<F>, std::decay_t<A>...>
task<detail::async_result_t<std::decay_t<F>, std::decay_t<A>...>> create_task(task_options options, F&& f,
                                                                              A&&... args) {
  return detail::start(
      nullptr,
      detail::call_and_await<std::decay_t<F>, std::decay_t<A>...>(std::forward<F>(f), std::forward<A>(args)...),
      options);
}
template <class... X>
  requires(sizeof...(X) > 0 && !detail::spawnable_any<X...>)
detail::refused create_task(X&&...) {
  static_assert(detail::spawnable_any<X...>, ASYNCIO_SPAWN_SENTENCE);
  return {};
}
template <detail::spawnable A>
detail::refused create_task(task_options, A&&) {
  static_assert(detail::never<A>, ASYNCIO_SPAWN_ORDER_SENTENCE);
  return {};
}

/// The task that is running; empty outside one.  Python: current_task().
any_task current_task();
/// The loop's tasks that are not done, in order of creation.  Python: all_tasks().
std::vector<any_task> all_tasks(event_loop& loop = get_running_loop());
/// "<Task 'Task-3' pending at fetch (main.cpp:12)>": for people.
std::string to_string(const any_task& task);

}  // namespace asyncio
