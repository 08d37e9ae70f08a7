// SPDX-License-Identifier: BSL-1.0
// g++ 12 only: [&](auto& x) and (co_await …).member
#include <asyncio/asyncio.hpp>
#include <string>
#include <vector>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }
inline coroutine<> g() { co_await sleep(1s); }

coroutine<> x() { co_await async_with(timeout(1s), [&](auto& t) -> coroutine<> { if (auto n = (co_await f()); n) t.reschedule({}); auto s = (co_await [](auto) -> coroutine<std::string> { co_return ""; }(1)).size(); (void)s; }); }
