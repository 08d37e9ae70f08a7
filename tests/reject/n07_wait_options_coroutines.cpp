// SPDX-License-Identifier: BSL-1.0
// both: wait with options, of coroutines
#include <asyncio/asyncio.hpp>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }

coroutine<> x() { co_await wait({.return_when = return_when::first_completed}, f(), f(1)); }
