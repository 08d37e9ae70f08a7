// SPDX-License-Identifier: BSL-1.0
// A call of a function on its way to another process of the same program, and its result on the way back.
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/codec.hpp>
#include <asyncio/concurrent_future.hpp>

#include <concepts>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace asyncio::detail {

/// What a worker calls: reads the arguments, calls the target, writes the result. Each call has one, made by the compiler
/// for the function's type, or for the type of a callable that has no target.
using process_entry = void (*)(void (*target)(), decoder& in, encoder& out);

/// What travels.
struct process_call {
  process_entry entry = nullptr;
  void (*target)() = nullptr;
  std::string arguments;
};

/// As what an argument is kept on the way: views travel as what they look at.
template <class P>
struct travels_as {
  using type = P;
};
template <>
struct travels_as<std::string_view> {
  using type = std::string;
};
template <>
struct travels_as<const char*> {
  using type = std::string;
};
template <>
struct travels_as<char*> {
  using type = std::string;
};
template <class P>
using travelling_t = typename travels_as<std::remove_cvref_t<P>>::type;

/// Nobody would see what a function writes through this.
template <class P>
concept changes_its_argument = std::is_lvalue_reference_v<P> && !std::is_const_v<std::remove_reference_t<P>>;

template <class Kept>
void write_argument(encoder& out, const Kept& value) {
  out.write<Kept>(value);
}

/// The argument becomes what the function takes here, so that it can be wrong here.
template <class P, class A>
void write_as(encoder& out, A&& argument) {
  using kept = travelling_t<P>;
  if constexpr (std::is_same_v<std::remove_cvref_t<P>, std::string_view>)
    out.write(std::string(std::string_view(std::forward<A>(argument))));
  else if constexpr (std::is_arithmetic_v<kept>)
    out.write<kept>(static_cast<kept>(argument));
  else
    write_argument<kept>(out, std::forward<A>(argument));
}

/// In the worker: what was kept, as the function takes it.
template <class P>
decltype(auto) hand_over(travelling_t<P>& kept) {
  if constexpr (std::is_same_v<std::remove_cvref_t<P>, std::string_view>)
    return std::string_view(kept);
  else if constexpr (std::is_same_v<std::remove_cvref_t<P>, const char*>)
    return kept.c_str();
  else if constexpr (std::is_lvalue_reference_v<P>)
    return static_cast<const travelling_t<P>&>(kept);
  else
    return std::move(kept);
}

template <class R>
using process_result_t = std::remove_cvref_t<R>;

template <class R, class F, class... Kept, std::size_t... I>
void call_and_write(F&& call, std::tuple<Kept...>& kept, encoder& out, std::index_sequence<I...>) {
  if constexpr (std::is_void_v<R>)
    call(std::get<I>(kept)...);
  else
    out.write<process_result_t<R>>(call(std::get<I>(kept)...));
}

template <class R, class... P>
void enter_function(void (*target)(), decoder& in, encoder& out) {
  const auto function = reinterpret_cast<R (*)(P...)>(target);
  std::tuple<travelling_t<P>...> kept{in.read<travelling_t<P>>()...};  // braces: from the first to the last
  in.finish();
  call_and_write<R>([function](travelling_t<P>&... each) -> R { return function(hand_over<P>(each)...); }, kept, out,
                    std::index_sequence_for<P...>());
}

/// For a callable that is nothing but its type: A are the arguments' own types.
template <class F, class R, class... A>
void enter_callable(void (*)(), decoder& in, encoder& out) {
  std::tuple<travelling_t<A>...> kept{in.read<travelling_t<A>>()...};
  in.finish();
  call_and_write<R>([](travelling_t<A>&... each) -> R { return F()(hand_over<A>(each)...); }, kept, out,
                    std::index_sequence_for<A...>());
}

/// Why a call cannot be made in another process, in one sentence each.
template <class R, class... P>
consteval void check_process_call() {
  static_assert(!is_coroutine<process_result_t<R>>,
                "asyncio: a coroutine cannot run in a worker process: it belongs to this process's loop");
  static_assert(!(changes_its_argument<P> || ...),
                "asyncio: this function takes a reference that it may write through, but it would write to a copy in "
                "another process: take the argument by value and return what is to come back");
  static_assert(
      (has_codec<travelling_t<P>> && ...),
      "asyncio: an argument has no way to another process: specialise asyncio::codec for its type, or give it "
      "cereal's serialize() and include <asyncio/codec/cereal.hpp>");
  if constexpr (!std::is_void_v<R> && !is_coroutine<process_result_t<R>>)
    static_assert(
        has_codec<process_result_t<R>>,
        "asyncio: the result has no way back from another process: specialise asyncio::codec for its type, or "
        "give it cereal's serialize() and include <asyncio/codec/cereal.hpp>");
}

template <class R, class... P, class... A>
process_call make_process_call(R (*function)(P...), A&&... args) {
  check_process_call<R, P...>();
  encoder out;
  (write_as<P>(out, std::forward<A>(args)), ...);
  return {&enter_function<R, P...>, reinterpret_cast<void (*)()>(function), out.take()};
}

/// A callable without a state: a lambda without captures, a functor. Another process can make itself one.
template <class F>
concept process_callable = std::is_class_v<F> && std::is_empty_v<F> && std::default_initializable<F>;

/// A lambda whose call operator is no template is as good as a function.
template <class F>
concept function_like = process_callable<F> && requires(F f) { +f; };

/// Of another callable: what it gives for the arguments as they arrive.
template <class A>
using arrived_t = decltype(hand_over<std::decay_t<A>>(std::declval<travelling_t<std::decay_t<A>>&>()));

template <class F, class... A>
struct process_invocation : std::invoke_result<F, arrived_t<A>...> {};
template <function_like F, class... A>
struct process_invocation<F, A...> : std::invoke_result<F, A...> {};

/// Can another process make an F, and call it so?
template <class F, class... A>
concept process_invocable =
    process_callable<F> && (function_like<F> ? std::invocable<F, A...> : std::invocable<F, arrived_t<A>...>);

template <class F, class... A>
inline constexpr bool is_process_function = false;
template <class R, class... P, class... A>
inline constexpr bool is_process_function<R (*)(P...), A...> = std::invocable<R (*)(P...), A...>;
template <class R, class... P, class... A>
inline constexpr bool is_process_function<R (*)(P...) noexcept, A...> = std::invocable<R (*)(P...), A...>;

/// What submit() takes.
template <class F, class... A>
concept process_submittable = is_process_function<F, A...> || process_invocable<F, A...>;

template <class F, class... A>
using process_invoke_t = std::remove_cvref_t<typename process_invocation<F, A...>::type>;

template <class F, class... A>
process_call make_process_call_of(A&&... args) {
  if constexpr (function_like<F>) {
    return make_process_call(+F(), std::forward<A>(args)...);
  } else {
    using result = typename process_invocation<F, A...>::type;
    check_process_call<result, std::decay_t<A>...>();
    encoder out;
    (write_as<std::decay_t<A>>(out, std::forward<A>(args)), ...);
    return {&enter_callable<F, result, std::decay_t<A>...>, nullptr, out.take()};
  }
}

/// A call that somebody waits for. The pool's thread calls these, in this order: start(), and if that said true one of
/// fail() and read() with complete().
class process_job {
 public:
  explicit process_job(process_call call) noexcept : call(std::move(call)) {}
  process_job(const process_job&) = delete;
  process_job& operator=(const process_job&) = delete;
  virtual ~process_job() = default;

  /// It begins. False: nobody wants it any more.
  virtual bool start() noexcept = 0;
  /// Makes the value of its bytes, which takes a while when there are many; complete() then hands it over.
  virtual void read(std::string_view bytes) noexcept = 0;
  virtual void complete() noexcept = 0;
  virtual void fail(std::exception_ptr error) noexcept = 0;
  virtual void cancel() noexcept = 0;

  process_call call;
  bool started = false;  ///< start() said true
  int losses = 0;        ///< workers that ended before they took it
};

template <class T>
class process_job_of final : public process_job {
 public:
  using process_job::process_job;
  concurrent_future<T> get_future() const noexcept { return promise_.get_future(); }

  bool start() noexcept override { return promise_.start(); }
  void read(std::string_view bytes) noexcept override {
    try {
      decoder in(bytes);
      if constexpr (!std::is_void_v<T>) value_.emplace(in.read<T>());
      in.finish();
    } catch (...) {
      error_ = std::current_exception();
    }
  }
  void complete() noexcept override {
    if (error_ != nullptr)
      promise_.set_exception(std::move(error_));
    else if constexpr (std::is_void_v<T>)
      promise_.set_result();
    else
      promise_.set_result(std::move(*value_));
  }
  void fail(std::exception_ptr error) noexcept override { promise_.set_exception(std::move(error)); }
  void cancel() noexcept override { promise_.cancel(); }

 private:
  struct nothing {};
  concurrent_promise<T> promise_;
  std::optional<std::conditional_t<std::is_void_v<T>, nothing, T>> value_;
  std::exception_ptr error_;
};

}  // namespace asyncio::detail
