// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/coroutine.hpp>
#include <asyncio/time.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace asyncio {

namespace detail {

/// An await that is over before it begins.
class [[nodiscard("it must be awaited")]] ready_operation_void {
 public:
  using native = void;
  ready_operation_void() noexcept {}
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
};
class [[nodiscard("it must be awaited")]] ready_operation_bool {
 public:
  using native = void;
  explicit ready_operation_bool(bool value) noexcept : value_(value) {}
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  bool await_resume() const noexcept { return value_; }

 private:
  bool value_;
};

struct timeout_state;

}  // namespace detail

/// A deadline around a block: co_await async_with(timeout(5s), body). When it passes, the task is cancelled once, and
/// the cancellation leaves the block as timeout_error.
/// States: created → entered → (expiring → expired | exited).   Thread: from entry on the loop's, checked.
/// Python: asyncio.timeout().
class timeout {
 public:
  /// The deadline is `delay` from now; nullopt: never.
  explicit timeout(std::optional<timedelta> delay) noexcept;
  template <class a_number_without_a_unit_write_5s_or_100ms>
    requires std::is_arithmetic_v<a_number_without_a_unit_write_5s_or_100ms>
  explicit timeout(a_number_without_a_unit_write_5s_or_100ms) = delete;
  timeout(timeout&& other) noexcept;
  timeout& operator=(timeout&&) = delete;
  ~timeout();

  /// The deadline, if there is one.
  std::optional<time_point> when() const;
  /// Moves, sets or clears the deadline. Errors: std::runtime_error before the block is entered, or when it is over.
  void reschedule(std::optional<time_point> when);
  /// Has the deadline passed?
  bool expired() const;

  /// What async_with does. Errors: std::runtime_error outside a task, or for the second time.
  detail::ready_operation_void aenter() {
    enter();
    return {};
  }
  /// Errors: timeout_error when `error` is the cancellation that this deadline caused; std::runtime_error when it was
  /// not entered, or left already.
  detail::ready_operation_bool aexit(std::exception_ptr error) {
    exit(error);
    return detail::ready_operation_bool(false);
  }

  void enter();
  void exit(const std::exception_ptr& error);

 private:
  void check_thread(const char* call) const;
  friend timeout timeout_at(std::optional<time_point> when) noexcept;
  std::optional<timedelta> delay_;  // counted from entry, for a timeout made outside a loop
  std::optional<time_point> when_;
  detail::timeout_state* state_ = nullptr;  // from entry on
};

/// The same with a deadline on the loop's clock.
timeout timeout_at(std::optional<time_point> when) noexcept;

}  // namespace asyncio
