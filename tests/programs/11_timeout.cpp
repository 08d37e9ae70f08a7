// SPDX-License-Identifier: BSL-1.0
// async with timeout(...): values, nesting, reschedule, no parameter, timeout_at, nullopt, move_on_after
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <string>
using namespace asyncio;

coroutine<std::string> fetch(std::string u) { co_await sleep(1s); co_return u; }

coroutine<> amain() {
  int v = co_await async_with(timeout(5s), [&](timeout& t) -> coroutine<int> {
    auto page = co_await fetch("x");
    if (t.when()) t.reschedule(*t.when() + 1s);
    int inner = co_await async_with(timeout(1s), [&]() -> coroutine<int> { co_await sleep(10ms); co_return 1; });
    co_return static_cast<int>(page.size()) + inner + t.expired();
  });
  try {
    co_await async_with(timeout_at(get_running_loop().time() + 2s), [&]() -> coroutine<> { co_await sleep(1h); });
  } catch (const timeout_error&) { std::puts("The long operation timed out"); }
  co_await async_with(timeout(std::nullopt), [&](timeout& t) -> coroutine<> { t.reschedule(get_running_loop().time() + 1s); co_await sleep(1h); });
  auto page = co_await move_on_after(1s, [&]() -> coroutine<std::string> { co_return co_await fetch("y"); });
  bool in_time = co_await move_on_after(1s, [&](timeout&) -> coroutine<> { co_await sleep(2s); });
  if (page) std::printf("%s %d %d\n", page->c_str(), v, in_time);
}
int main() { run(amain()); }
