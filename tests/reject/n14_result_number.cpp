// SPDX-License-Identifier: BSL-1.0
// both: concurrent_future::result(5), a length of time without a unit
#include <asyncio/asyncio.hpp>

int x(const asyncio::concurrent_future<int>& f) { return f.result(5); }
