// SPDX-License-Identifier: BSL-1.0
// both: a coroutine function as a callback would never run
#include <asyncio/asyncio.hpp>
using namespace asyncio;
inline coroutine<> work() { co_await sleep(1s); }

void x(event_loop& loop) { loop.call_soon(work); }
