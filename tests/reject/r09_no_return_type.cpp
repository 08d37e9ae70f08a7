// SPDX-License-Identifier: BSL-1.0
// both: the lambda without -> coroutine<>
#include <asyncio/asyncio.hpp>
#include <string>
#include <vector>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }
inline coroutine<> g() { co_await sleep(1s); }

coroutine<> x() { co_await async_with(timeout(1s), [&](timeout&) { co_await sleep(1s); }); }
