// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/coroutine.hpp>
#include <asyncio/errors.hpp>
#include <asyncio/outcome.hpp>
#include <asyncio/time.hpp>

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

namespace asyncio {

namespace detail {

/// Waits for a deadline, or for one turn of the loop. A timer that fires takes one turn to wake its task, as CPython's
/// does; so callbacks due at the same moment run before the sleepers they stand among.
class sleep_wait : public wait_base, public timer_op {
 public:
  explicit sleep_wait(timedelta delay) noexcept : timer_op(unset()), time_(delay.count()) {}
  explicit sleep_wait(time_point until) noexcept
      : timer_op(unset()), time_(until.time_since_epoch()), absolute_(true) {}
  sleep_wait(sleep_wait&& other) noexcept
      : timer_op(unset()), time_(other.time_), absolute_(other.absolute_) {}  // moved only before it waits
  sleep_wait& operator=(const sleep_wait&) = delete;
  ~sleep_wait() {
    if (armed()) [[unlikely]]
      task_->loop()->remove_timer(*this);
  }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> frame) {
    task_ = awaiting_task(frame);
    if (time_.count() <= 0 && !absolute_) {
      task_->schedule();
    } else {
      arm();
    }
  }
  void await_resume() {
    if (cancelled_ || task_->must_cancel) [[unlikely]]
      throw_cancelled(task_);
  }

 private:
  void arm() {
    loop_core& loop = *task_->loop();
    deadline = absolute_ ? time_point(time_) : loop.now() + timedelta(time_);
    done = [](op* self) noexcept { static_cast<sleep_wait*>(self)->task_->wake(); };
    cancel = [](wait_base* self) noexcept {
      auto* me = static_cast<sleep_wait*>(self);
      me->task_->loop()->remove_timer(*me);
      me->cancelled_ = true;
      me->task_->wake();
      return true;
    };
    loop.add_timer(*this);
    begin_wait(task_, this);
  }

  std::chrono::nanoseconds time_;
  coro_core* task_;
  bool absolute_ = false;
  bool cancelled_ = false;
};

}  // namespace detail

/// What sleep() and sleep_until() return: co_await it, or make it a task.
class [[nodiscard("a sleep must be awaited")]] sleep_operation : public detail::sleep_wait {
 public:
  using detail::sleep_wait::sleep_wait;
};

template <class T>
class [[nodiscard("a sleep must be awaited")]] valued_sleep_operation : public detail::sleep_wait {
 public:
  valued_sleep_operation(timedelta delay, T value) : sleep_wait(delay), value_(std::move(value)) {}
  T await_resume() {
    sleep_wait::await_resume();
    return std::move(value_);
  }

 private:
  T value_;
};

/// Suspends the task for at least `delay`; zero or less: for exactly one turn of the loop.
/// Cancel: safe, the timer is removed.   Errors: std::invalid_argument for NaN.   Python: asyncio.sleep().
inline sleep_operation sleep(timedelta delay) { return sleep_operation(delay); }
/// The same, yielding `value`.
template <class T>
valued_sleep_operation<T> sleep(timedelta delay, T value) {
  return valued_sleep_operation<T>(delay, std::move(value));
}
/// Suspends the task until the loop's clock has reached `when`.
inline sleep_operation sleep_until(time_point when) { return sleep_operation(when); }

/// Write a unit: sleep(1s), sleep(0.5s). A bare number would call POSIX's sleep, which blocks the loop. The parameter's
/// name stands in the compiler's error.
template <class a_number_without_a_unit_write_1s_or_500ms>
  requires std::is_arithmetic_v<a_number_without_a_unit_write_1s_or_500ms>
void sleep(a_number_without_a_unit_write_1s_or_500ms) = delete;

namespace detail {

/// Was the running task asked to cancel? Then a cancelled_error is its own, else that of what it awaited.
bool own_cancellation() noexcept;

/// Keeps `awaited`, and awaits it as an `As`: A& or A&&.
template <class A, class As>
coroutine<outcome<value_t<As>>> outcome_of(A awaited) {
  using value = value_t<As>;
  std::exception_ptr error;
  try {
    if constexpr (std::is_void_v<value>) {
      co_await static_cast<As>(awaited);
      co_return outcome<value>(std::in_place);
    } else {
      outcome<value> result(std::in_place, co_await static_cast<As>(awaited));
      co_return result;
    }
  } catch (const cancelled_error&) {
    if (own_cancellation()) throw;
    error = std::current_exception();
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  co_return outcome<value>(std::move(error));
}

}  // namespace detail

/// Awaits and returns what became of it, instead of throwing: for `except X: await repair()`, since C++ cannot co_await
/// in a catch block. The running task's own cancellation is thrown on, as is what is not a std::exception.
template <awaitable A>
auto as_outcome(A&& awaited) {
  using kept = std::remove_cvref_t<A>;
  if constexpr (!std::is_lvalue_reference_v<A>)
    return detail::outcome_of<kept, kept&&>(std::forward<A>(awaited));
  else if constexpr (std::is_copy_constructible_v<kept>)  // a handle, which may be gone before it is awaited
    return detail::outcome_of<kept, kept&>(awaited);
  else
    return detail::outcome_of<A, A>(awaited);
}

}  // namespace asyncio
