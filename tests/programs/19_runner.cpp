// SPDX-License-Identifier: BSL-1.0
// with asyncio.Runner() as runner
#include <asyncio/asyncio.hpp>
#include <cstdio>

asyncio::coroutine<int> step(int n) { co_await asyncio::sleep(std::chrono::milliseconds(n)); co_return n; }

int main() {
  asyncio::runner runner({.debug = true, .backend = asyncio::backend_kind::automatic});
  int a = runner.run(step(1));
  int b = runner.run(step(2));
  int c = runner.run([&]() -> asyncio::coroutine<int> { co_return a + b + co_await step(3); });
  runner.get_loop().call_soon([] { std::puts("later"); });
  asyncio::runner plain;
  plain.run(step(1));
  plain.close();
  return c;
}
