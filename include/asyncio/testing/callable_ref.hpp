// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/coroutine.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace asyncio::testing::detail {

template <class A>
coroutine<> drop_value(A awaited) {
  (void)co_await std::move(awaited);
}

/// A function that a test hands over, its type forgotten. It is called again and again, and must outlive this.
template <class R>
class callable_ref {
 public:
  template <class F>
    requires(!std::same_as<std::remove_cv_t<F>, callable_ref>)
  explicit callable_ref(F& function) noexcept
      : function_(const_cast<void*>(reinterpret_cast<const void*>(__builtin_addressof(function)))),
        call_([](void* f) -> R { return call(*reinterpret_cast<F*>(f)); }) {}

  R operator()() const { return call_(function_); }

 private:
  // A body's value is of no interest: it is dropped.
  template <class F>
  static R call(F& function) {
    using result = std::invoke_result_t<F&>;
    if constexpr (std::is_void_v<R> || std::same_as<result, R>)
      return static_cast<R>(function());
    else
      return drop_value<std::decay_t<result>>(function());
  }

  void* function_;
  R (*call_)(void*);
};

/// A test's body: each call makes a coroutine that is yet to run.
using body_ref = callable_ref<coroutine<>>;
using check_ref = callable_ref<void>;

}  // namespace asyncio::testing::detail
