// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/coroutine.hpp>
#include <asyncio/errors.hpp>
#include <asyncio/timeout.hpp>

#include <concepts>
#include <exception>
#include <optional>
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
  requires detail::async_context_manager<std::remove_reference_t<X>> &&
           detail::body_for<F, detail::entered_t<std::remove_reference_t<X>>>
auto async_with(X&& manager, F&& body) {
  using result = detail::body_result_t<F, detail::entered_t<std::remove_reference_t<X>>>;
  static_assert(closure_has_a_name<F>, ASYNCIO_CLOSURE_SENTENCE);
  return detail::with<result, detail::held_t<X>, std::decay_t<F>>(std::forward<X>(manager), std::forward<F>(body));
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

}  // namespace asyncio
