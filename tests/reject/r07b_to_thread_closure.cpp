// SPDX-License-Identifier: BSL-1.0
// g++ 12 only
#include <asyncio/asyncio.hpp>
#include <string>
#include <vector>
using namespace asyncio;
inline coroutine<int> f(int n = 0) { co_await sleep(1s); co_return n; }
inline coroutine<> g() { co_await sleep(1s); }

coroutine<> x(std::string s) { co_await to_thread([s] { return s.size(); }); }
