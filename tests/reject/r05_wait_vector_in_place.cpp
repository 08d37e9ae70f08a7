// SPDX-License-Identifier: BSL-1.0
// g++ 12 only: api.md's own form, the vector made in the co_await expression
#include <asyncio/asyncio.hpp>
#include <string>
#include <vector>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }
inline coroutine<> g() { co_await sleep(1s); }

coroutine<> x() { auto a = create_task(f()), b = create_task(f()); co_await wait(std::vector{a, b}); }
