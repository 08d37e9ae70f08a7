// SPDX-License-Identifier: BSL-1.0
// both: gather(v) of coroutines without std::move
#include <asyncio/asyncio.hpp>
#include <string>
#include <vector>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }
inline coroutine<> g() { co_await sleep(1s); }

coroutine<> x() { std::vector<coroutine<int>> v; v.push_back(f()); co_await gather(v); }
