// SPDX-License-Identifier: BSL-1.0
// both: gather of a non-awaitable
#include <asyncio/asyncio.hpp>
#include <string>
#include <vector>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }
inline coroutine<> g() { co_await sleep(1s); }

void x() { gather(f(), 42); }
