// SPDX-License-Identifier: BSL-1.0
// both: async_with of a temporary that cannot be moved
#include <asyncio/asyncio.hpp>
using namespace asyncio;

coroutine<> x() { co_await async_with(thread_pool_executor(4), [](thread_pool_executor&) {}); }
