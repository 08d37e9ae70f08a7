// SPDX-License-Identifier: BSL-1.0
// both, warning: the guard is thrown away at once
#include <asyncio/asyncio.hpp>
#include <string>
#include <vector>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }
inline coroutine<> g() { co_await sleep(1s); }

coroutine<> x(lock& l) { co_await l.scoped(); }
