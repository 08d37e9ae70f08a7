// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/time.hpp>

namespace asyncio::base {

/// The machine's monotonic clock; one object for all loops, usable from every thread.
clock_source& steady_clock_source() noexcept;

}  // namespace asyncio::base
