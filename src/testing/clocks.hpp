// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/time.hpp>

namespace asyncio::testing {

/// Test clocks begin at a moment that is not zero, so that a forgotten default time point stands out.
inline constexpr time_point beginning = time_point() + std::chrono::hours(1000);

class still_clock final : public clock_source {
 public:
  time_point now() noexcept override { return now_; }
  void advance(timedelta by) noexcept { now_ = now_ + by; }

 private:
  time_point now_ = beginning;
};

class jumping_clock : public clock_source {
 public:
  time_point now() noexcept override { return now_; }
  bool jump_to(time_point deadline) noexcept override {
    if (deadline > now_) now_ = deadline;
    return true;
  }

 private:
  time_point now_ = beginning;
};

}  // namespace asyncio::testing
