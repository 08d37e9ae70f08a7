// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/detail/future_core.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace asyncio {

/// What became of an awaitable: its value, or the exception it ended with. `outcome<>` has no value but its success.
/// Python: an element of gather(..., return_exceptions=True).
template <class T = void>
class [[nodiscard]] outcome {
 public:
  outcome() = default;
  explicit outcome(std::exception_ptr error) noexcept : error_(std::move(error)) {}
  template <class... A>
    requires std::constructible_from<detail::stored_t<T>, A...>
  explicit outcome(std::in_place_t, A&&... args) : value_(std::in_place, std::forward<A>(args)...) {}

  bool has_value() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  /// The value. Errors: the stored exception.
  decltype(auto) value() const& {
    check();
    if constexpr (!std::is_void_v<T>) return static_cast<const T&>(*value_);
  }
  T value() && {
    check();
    if constexpr (!std::is_void_v<T>) return std::move(*value_);
  }
  /// The exception; null when there is a value.
  std::exception_ptr exception() const noexcept { return error_; }

 private:
  void check() const {
    if (error_ != nullptr) std::rethrow_exception(error_);
  }

  std::optional<detail::stored_t<T>> value_;
  std::exception_ptr error_;
};

/// The tag of gather(return_exceptions, …).
struct return_exceptions_t {
  explicit return_exceptions_t() = default;
};
inline constexpr return_exceptions_t return_exceptions{};

}  // namespace asyncio
