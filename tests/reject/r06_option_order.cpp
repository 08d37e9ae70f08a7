// SPDX-License-Identifier: BSL-1.0
// g++ error, clang warning: designators out of order
#include <asyncio/asyncio.hpp>
#include <string>
#include <vector>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }
inline coroutine<> g() { co_await sleep(1s); }

coroutine<> x() { auto [r, w] = co_await open_connection("h", 1, {.limit = 5, .ssl = true}); }
