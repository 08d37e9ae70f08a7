// SPDX-License-Identifier: BSL-1.0
// run(): the tutorial's first program, and the three ways to give run its main
#include <asyncio/asyncio.hpp>
#include <cstdio>
using namespace asyncio;

coroutine<> filling_function() { std::puts("1"); co_await sleep(2s); std::puts("2"); }
coroutine<> amain() { std::puts("A"); co_await filling_function(); std::puts("B"); }
coroutine<int> with_status() { co_await asyncio::sleep(0.5s); co_return 3; }

int main() {
  asyncio::run(amain());
  asyncio::run(amain);                                                      // a callable
  asyncio::run([]() -> coroutine<> { co_await sleep(1s); });                // a lambda in place
  int n = 4;
  int r = asyncio::run([&]() -> coroutine<int> { co_await sleep(0s); co_return n * 2; }, {.debug = true});
  return asyncio::run(with_status(), {.backend = backend_kind::epoll}) + r;
}
