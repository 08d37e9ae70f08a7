// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/time.hpp>

#include <chrono>

namespace asyncio::base {

/// The machine's monotonic clock; one object for all loops, usable from every thread.
clock_source& steady_clock_source() noexcept;

/// So much later than now, on that clock, for a thread that blocks; at most a year, which no clock overflows.
std::chrono::steady_clock::time_point real_deadline(timedelta timeout) noexcept;

}  // namespace asyncio::base
