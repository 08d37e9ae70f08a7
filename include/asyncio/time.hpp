// SPDX-License-Identifier: BSL-1.0
#pragma once
// Durations and clocks without the calendar, which takes as long to compile as all of this library.
#if __has_include(<bits/chrono.h>)
#include <bits/chrono.h>
#else
#include <chrono>
#endif
#include <compare>
#include <cstdint>
#include <limits>
#include <ratio>
#include <type_traits>
#include <utility>

namespace asyncio {

using namespace std::chrono_literals;

/// A moment on the loop's clock; what `event_loop::time()` returns. Python: a float of seconds.
using time_point = std::chrono::steady_clock::time_point;

namespace detail {
[[noreturn]] void throw_nan_duration();
}  // namespace detail

/// A length of time: implicit from every chrono duration, floating-point ones too (`0.5s`), and to nanoseconds. It is
/// added, subtracted, scaled and compared like one; what is too large saturates.
/// Errors: std::invalid_argument for NaN.   Python: a float of seconds.
class timedelta {
  // In front of what uses it in constant expressions.
  template <class Rep, class Period>
  static constexpr std::chrono::nanoseconds convert(std::chrono::duration<Rep, Period> d) {
    using std::chrono::nanoseconds;
    if constexpr (std::is_floating_point_v<Rep>) {
      if (d.count() != d.count()) detail::throw_nan_duration();
      const double ns = std::chrono::duration_cast<std::chrono::duration<double, std::nano>>(d).count();
      constexpr double most = 9.2e18;  // just inside the range of 64-bit nanoseconds: about 291 years
      if (ns >= most) return nanoseconds::max();
      if (ns <= -most) return nanoseconds::min();
      return nanoseconds(static_cast<std::int64_t>(ns));
    } else {
      using scale = std::ratio_divide<Period, std::nano>;
      if constexpr (scale::den == 1) {
        constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / scale::num;
        if (std::cmp_greater(d.count(), most)) return nanoseconds::max();
        if (std::cmp_less(d.count(), -most)) return nanoseconds::min();
      }
      return std::chrono::duration_cast<nanoseconds>(d);
    }
  }

 public:
  constexpr timedelta() = default;

  template <class Rep, class Period>
  constexpr timedelta(std::chrono::duration<Rep, Period> d) : ns_(convert(d)) {}
  /// A length of time needs a unit. The parameter's name stands in the compiler's error.
  template <class a_number_without_a_unit_write_5s_or_100ms>
    requires std::is_arithmetic_v<a_number_without_a_unit_write_5s_or_100ms>
  timedelta(a_number_without_a_unit_write_5s_or_100ms) = delete;

  constexpr operator std::chrono::nanoseconds() const noexcept { return ns_; }
  /// The length in nanoseconds.
  constexpr std::chrono::nanoseconds count() const noexcept { return ns_; }
  /// The length in seconds, as Python counts it.
  constexpr double total_seconds() const noexcept { return std::chrono::duration<double>(ns_).count(); }

  friend constexpr bool operator==(timedelta, timedelta) = default;
  friend constexpr auto operator<=>(timedelta, timedelta) = default;
  friend constexpr timedelta operator-(timedelta a) noexcept { return timedelta() - a; }
  friend constexpr timedelta operator+(timedelta a, timedelta b) noexcept {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(a.ns_.count(), b.ns_.count(), &sum)) return end_of_range(a.ns_.count() > 0);
    return std::chrono::nanoseconds(sum);
  }
  friend constexpr timedelta operator-(timedelta a, timedelta b) noexcept {
    std::int64_t difference = 0;
    if (__builtin_sub_overflow(a.ns_.count(), b.ns_.count(), &difference)) return end_of_range(b.ns_.count() < 0);
    return std::chrono::nanoseconds(difference);
  }
  template <class N>
    requires std::is_arithmetic_v<N>
  friend constexpr timedelta operator*(timedelta a, N factor) {
    if constexpr (std::is_floating_point_v<N>) {
      return std::chrono::duration<double, std::nano>(static_cast<double>(a.ns_.count()) * factor);
    } else {
      std::int64_t product = 0;
      if (__builtin_mul_overflow(a.ns_.count(), factor, &product))
        return end_of_range((a.ns_.count() > 0) == (factor > 0));
      return std::chrono::nanoseconds(product);
    }
  }
  template <class N>
    requires std::is_arithmetic_v<N>
  friend constexpr timedelta operator*(N factor, timedelta a) {
    return a * factor;
  }
  /// Division by zero: as of integers or of floating-point numbers.
  template <class N>
    requires std::is_arithmetic_v<N>
  friend constexpr timedelta operator/(timedelta a, N divisor) {
    if constexpr (std::is_floating_point_v<N>)
      return std::chrono::duration<double, std::nano>(static_cast<double>(a.ns_.count()) / divisor);
    else
      return a.ns_ / static_cast<std::int64_t>(divisor);
  }
  constexpr timedelta& operator+=(timedelta other) noexcept { return *this = *this + other; }
  constexpr timedelta& operator-=(timedelta other) noexcept { return *this = *this - other; }
  template <class N>
    requires std::is_arithmetic_v<N>
  constexpr timedelta& operator*=(N factor) {
    return *this = *this * factor;
  }
  template <class N>
    requires std::is_arithmetic_v<N>
  constexpr timedelta& operator/=(N divisor) {
    return *this = *this / divisor;
  }
  friend constexpr time_point operator+(time_point at, timedelta d) noexcept {
    return time_point((timedelta(at.time_since_epoch()) + d).ns_);
  }
  friend constexpr time_point operator-(time_point at, timedelta d) noexcept {
    return time_point((timedelta(at.time_since_epoch()) - d).ns_);
  }

 private:
  static constexpr timedelta end_of_range(bool upper) noexcept {
    return upper ? std::chrono::nanoseconds::max() : std::chrono::nanoseconds::min();
  }

  std::chrono::nanoseconds ns_{};
};

/// Where a loop's time comes from. The default is the machine's monotonic clock; tests bring a clock of their own.
/// Thread: the loop's, unless the implementation says otherwise.
class clock_source {
 public:
  clock_source() = default;
  clock_source(const clock_source&) = delete;
  clock_source& operator=(const clock_source&) = delete;
  virtual ~clock_source() = default;

  /// The present moment; never goes back.
  virtual time_point now() noexcept = 0;

  /// Asked when nothing is ready and the earliest timer is due at `deadline`. True: the clock has moved there by
  /// itself, and the loop does not sleep. False: the loop waits in the kernel, as with a real clock.
  virtual bool jump_to(time_point /*deadline*/) noexcept { return false; }

  /// Asked when nothing is ready, no timer is armed, and the loop has given nothing to the kernel or to its threads that
  /// is not finished: only a signal, or a thread that the loop knows nothing of, can still wake it. True: the loop looks
  /// around again at once. False: it waits for them.
  virtual bool nothing_pending() noexcept { return false; }
};

}  // namespace asyncio
