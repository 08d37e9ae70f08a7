// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <chrono>
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

/// A length of time: implicit from every chrono duration, floating-point ones too (`0.5s`). Too large a value saturates.
/// Errors: std::invalid_argument for NaN.   Python: a float of seconds.
class timedelta {
 public:
  constexpr timedelta() = default;

  template <class Rep, class Period>
  constexpr timedelta(std::chrono::duration<Rep, Period> d) : ns_(convert(d)) {}

  constexpr operator std::chrono::nanoseconds() const noexcept { return ns_; }
  constexpr std::chrono::nanoseconds count() const noexcept { return ns_; }
  friend constexpr auto operator<=>(timedelta, timedelta) = default;

 private:
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

  std::chrono::nanoseconds ns_{};
};

namespace detail {
/// `start + delay` without overflow: a deadline too far away is the last moment there is.
constexpr time_point deadline_after(time_point start, timedelta delay) noexcept {
  const std::chrono::nanoseconds d = delay.count();
  if (d.count() > 0 && start > time_point::max() - d) return time_point::max();
  if (d.count() < 0 && start < time_point::min() - d) return time_point::min();
  return start + d;
}
}  // namespace detail

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
};

}  // namespace asyncio
