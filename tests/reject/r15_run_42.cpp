// SPDX-License-Identifier: BSL-1.0
// both: run(42), run(named coroutine)
#include <asyncio/asyncio.hpp>
#include <string>
#include <vector>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }
inline coroutine<> g() { co_await sleep(1s); }

int x() { auto c = f(); asyncio::run(c); return asyncio::run(42); }
