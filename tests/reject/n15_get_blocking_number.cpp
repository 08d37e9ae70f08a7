// SPDX-License-Identifier: BSL-1.0
// both: channel::get_blocking(5), a length of time without a unit
#include <asyncio/asyncio.hpp>

int x(const asyncio::channel<int>& c) { return c.get_blocking(5); }
