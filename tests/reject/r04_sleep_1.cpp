// SPDX-License-Identifier: BSL-1.0
// both: sleep(1)
#include <asyncio/asyncio.hpp>
#include <string>
#include <vector>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }
inline coroutine<> g() { co_await sleep(1s); }

#include <unistd.h>
coroutine<> x() { co_await sleep(1); }
void y() { sleep(1); }
