// SPDX-License-Identifier: BSL-1.0
// both: async_with of something that is no scope
#include <asyncio/asyncio.hpp>
using namespace asyncio;

coroutine<> x() { co_await async_with(42, [] {}); }
