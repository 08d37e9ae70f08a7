// SPDX-License-Identifier: BSL-1.0
// both?: body by value of something that cannot be copied
#include <asyncio/asyncio.hpp>
#include <string>
#include <vector>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }
inline coroutine<> g() { co_await sleep(1s); }

coroutine<> x() { co_await async_with(task_group{}, [&](task_group tg) -> coroutine<> { tg.cancel(); co_return; }); }
