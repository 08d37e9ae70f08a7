// SPDX-License-Identifier: BSL-1.0
#include "base/clock.hpp"

#include <algorithm>
#include <stdexcept>

namespace asyncio {

namespace detail {
void throw_nan_duration() { throw std::invalid_argument("a duration must be a number, not NaN"); }
}  // namespace detail

namespace base {

namespace {
class machine_clock final : public clock_source {
 public:
  time_point now() noexcept override { return std::chrono::steady_clock::now(); }
};
}  // namespace

clock_source& steady_clock_source() noexcept {
  // Never destroyed: threads with a loop may outlive the statics.
  static auto& clock = *new machine_clock;
  return clock;
}

std::chrono::steady_clock::time_point real_deadline(timedelta timeout) noexcept {
  constexpr std::chrono::nanoseconds longest = std::chrono::hours(24 * 365);
  return std::chrono::steady_clock::now() + std::min<std::chrono::nanoseconds>(timeout.count(), longest);
}

}  // namespace base
}  // namespace asyncio
