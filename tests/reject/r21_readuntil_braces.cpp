// SPDX-License-Identifier: BSL-1.0
// g++ 12: braces in co_await
#include <asyncio/asyncio.hpp>
#include <string>
#include <vector>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }
inline coroutine<> g() { co_await sleep(1s); }

coroutine<> x(stream_reader& r) { auto s = co_await r.readuntil({"\r\n", "\n"}); }
