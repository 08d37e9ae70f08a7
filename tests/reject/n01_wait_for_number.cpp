// SPDX-License-Identifier: BSL-1.0
// both: wait_for(x, 5), a length of time without a unit
#include <asyncio/asyncio.hpp>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }

coroutine<> x() { co_await wait_for(f(), 5); }
