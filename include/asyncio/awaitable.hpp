// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace asyncio {

namespace detail {

/// std::invoke without <functional>.
template <class F, class... A>
constexpr decltype(auto) invoke(F&& f, A&&... args) {
  return static_cast<F&&>(f)(static_cast<A&&>(args)...);
}
/// What a pointer to a member of C is applied to: the object, or what a pointer or a std::reference_wrapper names.
template <class M, class C, class X>
constexpr decltype(auto) object_of(M C::*, X&& object) {
  if constexpr (std::is_base_of_v<C, std::remove_cvref_t<X>>)
    return static_cast<X&&>(object);
  else if constexpr (requires { object.get(); } && !requires { *object; })
    return object.get();
  else
    return *static_cast<X&&>(object);
}
template <class M, class C, class X, class... A>
constexpr decltype(auto) invoke(M C::* member, X&& object, A&&... args) {
  if constexpr (std::is_function_v<M>)
    return (detail::object_of(member, static_cast<X&&>(object)).*member)(static_cast<A&&>(args)...);
  else
    return detail::object_of(member, static_cast<X&&>(object)).*member;
}

template <class A>
concept has_member_co_await = requires(A&& a) { static_cast<A&&>(a).operator co_await(); };
template <class A>
concept has_free_co_await = requires(A&& a) { operator co_await(static_cast<A&&>(a)); };
template <class A>
concept is_awaiter = requires(A& a) {
  a.await_ready();
  a.await_suspend(std::coroutine_handle<>{});
  a.await_resume();
};

template <class A>
decltype(auto) get_awaiter(A&& a) {
  if constexpr (has_member_co_await<A>)
    return static_cast<A&&>(a).operator co_await();
  else if constexpr (has_free_co_await<A>)
    return operator co_await(static_cast<A&&>(a));
  else
    return static_cast<A&&>(a);
}

/// What a call that is refused seems to yield, so that its sentence is the only error: `co_await refused()` is right.
struct refused {
  using native = void;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
};

}  // namespace detail

/// Whatever can stand behind co_await in a coroutine of this library: coroutines, tasks, futures, what every awaiting
/// function returns, and other libraries' awaiters.
template <class A>
concept awaitable =
    detail::has_member_co_await<A> || detail::has_free_co_await<A> || detail::is_awaiter<std::remove_reference_t<A>>;

/// The type of the expression `co_await a`.
template <awaitable A>
using await_result_t = decltype(detail::get_awaiter(std::declval<A>()).await_resume());

template <class T>
class coroutine;

namespace detail {

/// What a task made of the awaitable A yields.
template <class A>
using value_t = std::remove_cvref_t<await_result_t<A>>;

template <class T>
using none_t = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// Can a T be copied? std::is_copy_constructible says yes of a container of what cannot be.
template <class T>
inline constexpr bool can_copy = std::is_copy_constructible_v<T>;
template <class T>
  requires requires(const T& t) {
    t.begin();
    typename T::value_type;
  } && (!std::same_as<typename T::value_type, T>)
inline constexpr bool can_copy<T> = std::is_copy_constructible_v<T> && can_copy<typename T::value_type>;
template <template <class...> class X, class... T>
  requires requires { std::tuple_size<X<T...>>::value; }
inline constexpr bool can_copy<X<T...>> = (can_copy<T> && ...);

template <class C>
inline constexpr bool is_coroutine = false;
template <class T>
inline constexpr bool is_coroutine<coroutine<T>> = true;

template <class F, class... A>
concept async_callable = std::invocable<F, A...> && awaitable<std::invoke_result_t<F, A...>>;
template <class F, class... A>
using async_result_t = value_t<std::invoke_result_t<F, A...>>;
/// A callback: callable, and not a coroutine function, which would never run.
template <class F, class... A>
concept plain_callable = std::invocable<F, A...> && !is_coroutine<std::remove_cvref_t<std::invoke_result_t<F, A...>>>;

/// Is F itself a lambda's type? Read from the compiler's own spelling of it.
template <class F>
consteval bool is_closure() {
  std::string_view name = __PRETTY_FUNCTION__;
  const std::size_t from = name.find("F = ");
  if (from == std::string_view::npos) return false;
  name.remove_prefix(from + 4);
  int depth = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name.substr(i).starts_with("<lambda(") || name.substr(i).starts_with("(lambda")) return depth == 0;
    if (name[i] == '<') ++depth;
    if (name[i] == '>') --depth;
  }
  return false;
}

/// An awaiter that stays where it is: GCC 12 copies what stands behind co_await, so awaiters that cannot move are awaited
/// through this.
template <class Awaiter>
class in_place_await {
 public:
  using native = void;
  explicit in_place_await(Awaiter& awaiter) noexcept : awaiter_(&awaiter) {}
  bool await_ready() { return awaiter_->await_ready(); }
  auto await_suspend(std::coroutine_handle<> frame) { return awaiter_->await_suspend(frame); }
  decltype(auto) await_resume() { return awaiter_->await_resume(); }

 private:
  Awaiter* awaiter_;
};
template <class Awaiter>
in_place_await<Awaiter> in_place(Awaiter& awaiter) noexcept {
  return in_place_await<Awaiter>(awaiter);
}

}  // namespace detail

/// A named closure on its way into a co_awaited call: see take().
template <class F>
class taken {
 public:
  explicit taken(F& f) : f_(std::move(f)) {}
  template <class... A>
    requires std::invocable<F&, A...>
  decltype(auto) operator()(A&&... args) {
    return static_cast<F&>(f_)(std::forward<A>(args)...);
  }

 private:
  F f_;
};

/// Moves a *named* closure into a co_awaited call, on every compiler: `co_await async_with(scope, take(body))`.
template <class F>
taken<F> take(F& f) {
  return taken<F>(f);
}

/// GCC before 13 destroys the captures of a temporary closure twice when it stands in a co_await expression. There, a
/// temporary closure that is not trivially copyable is refused: name it and pass the name, or move it by take(name).
template <class F>
concept closure_has_a_name =
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
    std::is_lvalue_reference_v<F> || std::is_trivially_copyable_v<std::remove_cvref_t<F>> ||
    !detail::is_closure<std::remove_cvref_t<F>>();
#else
    true;
#endif

#define ASYNCIO_CLOSURE_SENTENCE \
  "GCC 12 destroys a temporary closure's captures twice: name the closure and pass the name, or take(name) to move it"

}  // namespace asyncio
