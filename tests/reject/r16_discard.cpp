// SPDX-License-Identifier: BSL-1.0
// both, warnings: everything that must be awaited
#include <asyncio/asyncio.hpp>
#include <string>
#include <vector>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }
inline coroutine<> g() { co_await sleep(1s); }

coroutine<> x(lock& l, queue<int>& q, stream_writer& w, event& e) { f(); sleep(1s); l.acquire(); q.put(1); w.drain(); e.wait(); async_with(l, [] {}); wait_for(f(), 1s); co_return; }
