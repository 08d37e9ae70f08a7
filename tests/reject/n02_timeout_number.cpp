// SPDX-License-Identifier: BSL-1.0
// both: timeout(5), a length of time without a unit
#include <asyncio/asyncio.hpp>
using namespace asyncio;

coroutine<> x() { co_await async_with(timeout(5), [] {}); }
