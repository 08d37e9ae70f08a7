// SPDX-License-Identifier: BSL-1.0
// both: the options of a task before the coroutine
#include <asyncio/asyncio.hpp>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }

coroutine<> x() { co_await create_task({.name = "x"}, f()); }
