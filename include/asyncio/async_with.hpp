// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/detail/smart_pointers.hpp>
#include <asyncio/errors.hpp>
#include <asyncio/timeout.hpp>

#include <concepts>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace asyncio {

namespace detail {

template <class X>
concept async_context_manager = requires(X& x) {
  { x.aenter() } -> awaitable;
  { x.aexit(std::exception_ptr{}) } -> awaitable;
};
template <class X>
using entered_raw_t = await_result_t<decltype(std::declval<X&>().aenter())>;
/// What the body is given: what aenter() yields, or the manager itself when that is nothing.
template <class X>
using entered_t = std::conditional_t<std::is_void_v<entered_raw_t<X>>, X&,
                                     std::add_lvalue_reference_t<std::remove_reference_t<entered_raw_t<X>>>>;

template <class R>
struct body_value {
  using type = R;
};
template <awaitable R>
struct body_value<R> {
  using type = value_t<R>;
};
template <class F, class E>
struct body_result;
template <class F, class E>
  requires std::invocable<F, E>
struct body_result<F, E> : body_value<std::invoke_result_t<F, E>> {};
template <class F, class E>
  requires(!std::invocable<F, E>) && std::invocable<F>
struct body_result<F, E> : body_value<std::invoke_result_t<F>> {};
template <class F, class E>
using body_result_t = typename body_result<std::remove_reference_t<F>&, E>::type;
template <class F, class E>
concept body_for = std::invocable<std::remove_reference_t<F>&, E> || std::invocable<std::remove_reference_t<F>&>;

template <class X, class F>
concept scope_and_body =
    async_context_manager<std::remove_reference_t<X>> && body_for<F, entered_t<std::remove_reference_t<X>>>;

template <class F, class E>
decltype(auto) call_body(F& body, E&& entered) {
  if constexpr (std::invocable<F&, E>)
    return body(std::forward<E>(entered));
  else
    return body();
}

/// How a value, or its absence, is carried past the end of a block.
template <class R>
using kept_t = std::optional<none_t<R>>;

template <class R, class F, class E>
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): with() awaits it, which holds both
coroutine<kept_t<R>> run_body(F& body, E& entered) {
  using made = decltype(call_body(body, entered));
  if constexpr (!awaitable<made>) {
    if constexpr (std::is_void_v<R>) {
      call_body(body, entered);
      co_return kept_t<R>(std::in_place);
    } else {
      co_return kept_t<R>(call_body(body, entered));
    }
  } else if constexpr (std::is_void_v<R>) {
    co_await call_body(body, entered);
    co_return kept_t<R>(std::in_place);
  } else {
    co_return kept_t<R>(co_await call_body(body, entered));
  }
}

template <class R>
R give_up(kept_t<R>& value) {
  if (!value) throw invalid_state_error("async_with: the scope swallowed the exception, so the body left no value");
  if constexpr (!std::is_void_v<R>) return std::move(*value);
}

/// Ends the scope; throws what the body threw unless the scope says that it has handled it.
template <class X>
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): with() awaits it, which holds the manager
coroutine<> leave(X& manager, std::exception_ptr error) {
  using answer = await_result_t<decltype(manager.aexit(error))>;
  bool handled = false;
  if constexpr (std::is_void_v<answer>)
    co_await manager.aexit(error);
  else
    handled = co_await manager.aexit(error);
  if (error != nullptr && !handled) std::rethrow_exception(error);
}

template <class R, class X, class F>
coroutine<R> with(X manager, F body) {
  kept_t<R> value;
  std::exception_ptr error;
  if constexpr (std::is_void_v<entered_raw_t<std::remove_reference_t<X>>>) {
    co_await manager.aenter();
    try {
      value = co_await run_body<R>(body, manager);
    } catch (...) {
      error = std::current_exception();
    }
  } else {
    auto&& entered = co_await manager.aenter();
    auto kept = std::forward<decltype(entered)>(entered);
    try {
      value = co_await run_body<R>(body, kept);
    } catch (...) {
      error = std::current_exception();
    }
  }
  co_await leave(manager, error);
  if constexpr (std::is_void_v<R>)
    co_return;
  else
    co_return give_up<R>(value);
}

/// An lvalue is used where it is, an rvalue is moved in; a closure is always kept.
template <class X>
using held_t = std::conditional_t<std::is_lvalue_reference_v<X>, X, std::remove_cvref_t<X>>;

}  // namespace detail

/// Python's `async with manager as x: body`. Enters the manager, runs the body with what aenter() yields (the manager
/// itself when that is void; the body may leave the parameter out), and leaves it whatever happened, which is awaited.
/// The body is a plain function or a coroutine; what it returns is returned. A manager whose aexit() answers true has
/// handled the exception: a void body just ends, one that owed a value ends in invalid_state_error.
/// Cancel: reaches the body; aexit() runs all the same.
template <class X, class F>
  requires detail::scope_and_body<X, F>
auto async_with(X&& manager, F&& body) {
  using result = detail::body_result_t<F, detail::entered_t<std::remove_reference_t<X>>>;
  static_assert(closure_has_a_name<F>, ASYNCIO_CLOSURE_SENTENCE);
  static_assert(std::constructible_from<detail::held_t<X>, X>,
                "async_with moves a temporary scope in, and this one cannot be moved: name it, and hand over the name");
  if constexpr (std::constructible_from<detail::held_t<X>, X>)
    return detail::with<result, detail::held_t<X>, std::decay_t<F>>(std::forward<X>(manager), std::forward<F>(body));
  else
    return detail::refused();
}

#define ASYNCIO_BODY_SENTENCE                                                                                     \
  "the body takes what its scope gives by reference, by its type or a base of it ([&](task_group& group) …), or " \
  "nothing"
#define ASYNCIO_MANAGER_SENTENCE \
  "async_with takes a scope and a body: something with aenter() and aexit(), then a callable"

template <class X, class F>
  requires(!detail::scope_and_body<X, F>)
detail::refused async_with(X&&, F&&) {
  constexpr bool is_scope = detail::async_context_manager<std::remove_reference_t<X>>;
  static_assert(is_scope, ASYNCIO_MANAGER_SENTENCE);
  if constexpr (is_scope) static_assert(detail::scope_and_body<X, F>, ASYNCIO_BODY_SENTENCE);
  return {};
}

namespace detail {

template <class R, class B, class C>
coroutine<R> with_finally(B body, C cleanup) {
  kept_t<R> value;
  std::exception_ptr error;
  int no_entry = 0;
  try {
    value = co_await run_body<R>(body, no_entry);
  } catch (...) {
    error = std::current_exception();
  }
  using cleaned = typename body_value<std::invoke_result_t<C&>>::type;
  co_await run_body<cleaned>(cleanup, no_entry);
  if (error != nullptr) std::rethrow_exception(error);
  if constexpr (std::is_void_v<R>)
    co_return;
  else
    co_return give_up<R>(value);
}

}  // namespace detail

/// Python's `try: body finally: cleanup`, with an awaited cleanup. An exception of the cleanup replaces the body's.
/// Cancel: reaches the body; the cleanup runs all the same.
template <class B, class C>
  requires std::invocable<std::remove_reference_t<B>&> && std::invocable<std::remove_reference_t<C>&>
auto async_finally(B&& body, C&& cleanup) {
  using result = typename detail::body_value<std::invoke_result_t<std::remove_reference_t<B>&>>::type;
  static_assert(closure_has_a_name<B> && closure_has_a_name<C>, ASYNCIO_CLOSURE_SENTENCE);
  return detail::with_finally<result, std::decay_t<B>, std::decay_t<C>>(std::forward<B>(body),
                                                                        std::forward<C>(cleanup));
}

namespace detail {

template <class T>
using optional_or_bool = std::conditional_t<std::is_void_v<T>, bool, std::optional<none_t<T>>>;

template <class R, class F>
coroutine<optional_or_bool<R>> move_on(timeout scope, F body) {
  kept_t<R> value;
  std::exception_ptr error;
  bool late = false;
  scope.enter();
  try {
    value = co_await run_body<R>(body, scope);
  } catch (...) {
    error = std::current_exception();
  }
  try {
    scope.exit(error);
  } catch (const timeout_error&) {
    late = true;
  }
  if (!late && error != nullptr) std::rethrow_exception(error);
  if constexpr (std::is_void_v<R>)
    co_return !late;
  else
    co_return std::move(value);
}

}  // namespace detail

/// Runs the body for at most `delay`; a body that is too late is cancelled, and its value is missing: an optional, or
/// false for a body without a value.   Python: trio's move_on_after.
template <class F>
  requires detail::body_for<F, timeout&>
auto move_on_after(std::optional<timedelta> delay, F&& body) {
  static_assert(closure_has_a_name<F>, ASYNCIO_CLOSURE_SENTENCE);
  return detail::move_on<detail::body_result_t<F, timeout&>, std::decay_t<F>>(timeout(delay), std::forward<F>(body));
}
/// The same with a deadline on the loop's clock.
template <class F>
  requires detail::body_for<F, timeout&>
auto move_on_at(std::optional<time_point> when, F&& body) {
  static_assert(closure_has_a_name<F>, ASYNCIO_CLOSURE_SENTENCE);
  return detail::move_on<detail::body_result_t<F, timeout&>, std::decay_t<F>>(timeout_at(when), std::forward<F>(body));
}

template <class F, class D>
  requires(!detail::body_for<F, timeout&>)
detail::refused move_on_after(D&&, F&&) {
  static_assert(detail::body_for<F, timeout&>, ASYNCIO_BODY_SENTENCE);
  return {};
}
template <class a_number_without_a_unit_write_5s_or_100ms, class F>
  requires std::is_arithmetic_v<a_number_without_a_unit_write_5s_or_100ms> && detail::body_for<F, timeout&>
void move_on_after(a_number_without_a_unit_write_5s_or_100ms, F&&) = delete;

class async_exit_stack;

namespace detail {

/// What an exit stack does at its end.
class exit_entry {
 public:
  exit_entry() = default;
  exit_entry(const exit_entry&) = delete;
  exit_entry& operator=(const exit_entry&) = delete;
  virtual ~exit_entry() = default;
  /// True: the exception has been handled.
  virtual coroutine<bool> leave(std::exception_ptr error) = 0;

  exit_entry* below = nullptr;
};

/// Leaves a manager that was entered. An lvalue is used where it is, an rvalue is held.
template <class X>
class managed_exit final : public exit_entry {
 public:
  using manager_type = std::remove_reference_t<X>;
  using entered_type = std::remove_reference_t<entered_t<manager_type>>;
  explicit managed_exit(X&& manager) : manager_(std::forward<X>(manager)) {}

  /// Enters it; where the body finds what that has given.
  coroutine<entered_type*> enter() {
    using given = entered_raw_t<manager_type>;
    if constexpr (std::is_void_v<given>) {
      co_await manager_.aenter();
      co_return std::addressof(manager_);
    } else if constexpr (std::is_reference_v<given>) {
      auto&& entered = co_await manager_.aenter();
      co_return std::addressof(entered);
    } else {
      given entered = co_await manager_.aenter();
      entered_.emplace(std::move(entered));
      co_return std::addressof(*entered_);
    }
  }
  coroutine<bool> leave(std::exception_ptr error) override {
    if constexpr (std::is_void_v<await_result_t<decltype(manager_.aexit(error))>>) {
      co_await manager_.aexit(error);
      co_return false;
    } else {
      const bool handled = co_await manager_.aexit(error);
      co_return handled;
    }
  }

 private:
  X manager_;
  std::optional<none_t<std::remove_cvref_t<entered_raw_t<manager_type>>>> entered_;
};

/// A function with its arguments, called once.
template <class F, class... A>
class bound_exit {
 public:
  template <class G, class... B>
  explicit bound_exit(G&& f, B&&... args) : f_(std::forward<G>(f)), args_(std::forward<B>(args)...) {}
  std::invoke_result_t<F, A...> operator()() { return call(std::index_sequence_for<A...>()); }

 private:
  template <std::size_t... I>
  std::invoke_result_t<F, A...> call(std::index_sequence<I...>) {
    return detail::invoke(std::move(f_), std::get<I>(std::move(args_))...);
  }
  F f_;
  std::tuple<A...> args_;
};

/// A function that is called at the end, with the exception (Told) or without.
template <class F, bool Told>
class called_exit final : public exit_entry {
 public:
  explicit called_exit(F&& call) : call_(std::move(call)) {}
  coroutine<bool> leave(std::exception_ptr error) override {
    using answer = decltype(call(error));
    if constexpr (awaitable<answer>) {
      if constexpr (std::is_convertible_v<await_result_t<answer>, bool> && Told) {
        const bool handled = co_await call(error);
        co_return handled;
      } else {
        co_await call(error);
        co_return false;
      }
    } else if constexpr (Told && std::is_convertible_v<answer, bool>) {
      co_return static_cast<bool>(call(error));
    } else {
      call(error);
      co_return false;
    }
  }

 private:
  decltype(auto) call(const std::exception_ptr& error) {
    if constexpr (Told)
      return call_(error);
    else
      return std::move(call_)();
  }
  F call_;
};

/// An operation whose result is a reference.
template <class T>
class [[nodiscard("it must be awaited")]] reference_operation {
 public:
  explicit reference_operation(coroutine<T*> inner) noexcept : inner_(std::move(inner)) {}
  class awaiter : public coroutine<T*>::awaiter {
   public:
    using coroutine<T*>::awaiter::awaiter;
    T& await_resume() { return *coroutine<T*>::awaiter::await_resume(); }
  };
  awaiter operator co_await() && { return awaiter(inner_.release()); }

 private:
  coroutine<T*> inner_;
};

template <class T, class Entry>
coroutine<T*> enter_into(async_exit_stack* stack, std::unique_ptr<Entry> entry);

}  // namespace detail

/// Managers and clean-ups that are known only at run time, left in reverse order: co_await
/// async_with(async_exit_stack{}, body). Each sees the exception of what stands above it, and may handle it.
/// Thread: the loop's.   Python: contextlib.AsyncExitStack.
class async_exit_stack {
 public:
  async_exit_stack() noexcept = default;
  async_exit_stack(async_exit_stack&& other) noexcept : top_(detail::taken(other.top_)) {}
  async_exit_stack& operator=(async_exit_stack&& other) noexcept {
    async_exit_stack old(std::move(*this));
    top_ = detail::taken(other.top_);
    return *this;
  }
  /// What was not left is dropped, and that is logged: aclose() is the end.
  ~async_exit_stack();

  /// co_await it: enters the manager (an lvalue where it is, an rvalue is moved in), which will be left with the stack.
  /// Returns a reference to what the manager gives, or to the manager itself; it lives as long as the stack.
  template <class X>
    requires detail::async_context_manager<std::remove_reference_t<X>>
  auto enter_async_context(X&& manager) {
    using entry = detail::managed_exit<detail::held_t<X>>;
    using entered = typename entry::entered_type;
    return detail::reference_operation<entered>(
        detail::enter_into<entered>(this, std::unique_ptr<entry>(new entry(std::forward<X>(manager)))));
  }
  /// At the end: co_await f(args...). Function and arguments are kept here.
  template <class F, class... A>
    requires detail::async_callable<std::decay_t<F>, std::decay_t<A>...>
  void push_async_callback(F&& f, A&&... args) {
    push_call<false>(bind(std::forward<F>(f), std::forward<A>(args)...));
  }
  /// At the end: f(args...).
  template <class F, class... A>
    requires detail::plain_callable<std::decay_t<F>, std::decay_t<A>...>
  void callback(F&& f, A&&... args) {
    push_call<false>(bind(std::forward<F>(f), std::forward<A>(args)...));
  }
  /// At the end: f(exception_ptr), which may be a coroutine function; null when there is no exception. True as the
  /// answer: it has been handled.
  template <class F>
    requires std::invocable<F&, std::exception_ptr>
  void push(F f) {
    push_call<true>(std::move(f));
  }
  /// Everything here, as a stack of its own: then nothing is left here.
  async_exit_stack pop_all() noexcept { return std::move(*this); }
  /// Leaves everything now.   Cancel: reaches what is being left; the rest is left all the same.
  coroutine<> aclose();

  detail::ready_operation_void aenter() noexcept { return {}; }
  coroutine<bool> aexit(std::exception_ptr error);

 private:
  template <class T, class Entry>
  friend coroutine<T*> detail::enter_into(async_exit_stack* stack, std::unique_ptr<Entry> entry);
  template <class F, class... A>
  static auto bind(F&& f, A&&... args) {
    return detail::bound_exit<std::decay_t<F>, std::decay_t<A>...>(std::forward<F>(f), std::forward<A>(args)...);
  }
  template <bool Told, class F>
  void push_call(F call) {
    add(new detail::called_exit<F, Told>(std::move(call)));
  }
  void add(detail::exit_entry* entry) noexcept {
    entry->below = top_;
    top_ = entry;
  }

  detail::exit_entry* top_ = nullptr;
};

namespace detail {

template <class T, class Entry>
coroutine<T*> enter_into(async_exit_stack* stack, std::unique_ptr<Entry> entry) {
  T* entered = co_await entry->enter();
  stack->add(entry.release());
  co_return entered;
}

}  // namespace detail

}  // namespace asyncio
