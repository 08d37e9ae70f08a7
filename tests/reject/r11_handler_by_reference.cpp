// SPDX-License-Identifier: BSL-1.0
// both: a handler that takes references
#include <asyncio/asyncio.hpp>
#include <string>
#include <vector>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }
inline coroutine<> g() { co_await sleep(1s); }

coroutine<> h(stream_reader&, stream_writer&) { co_return; }
coroutine<> x() { co_await start_server(h, "", 0); }
