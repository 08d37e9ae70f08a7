// SPDX-License-Identifier: BSL-1.0
// every combinator inside another; a future completed from a thread
#include <asyncio/asyncio.hpp>
#include <string>
#include <thread>
#include <vector>
using namespace asyncio;

coroutine<int> leaf(int n) { co_await sleep(std::chrono::milliseconds(n)); co_return n; }
coroutine<int> tree(int depth) {
  if (depth == 0) co_return co_await leaf(1);
  auto [a, b] = co_await gather(tree(depth - 1), wait_for(shield(tree(depth - 1)), 1s));
  co_return a + b;
}
coroutine<int> amain() {
  int sum = 0;
  co_await async_with(task_group{}, [&](task_group& tg) -> coroutine<> {
    auto t = tg.create_task(gather(tree(2), leaf(3)));
    tg.create_task(wait_for(sleep(1s), 2s));
    auto u = tg.create_task([&](int n) -> coroutine<> { co_await async_with(timeout(1s), [&]() -> coroutine<> { sum += co_await leaf(n); }); }, 5);
    co_await u;
    auto [x, y] = co_await t;
    sum += x + y;
  });
  future<std::string> fut;
  auto& loop = get_running_loop();
  std::thread th([fut, &loop] { loop.call_soon_threadsafe([fut] { if (!fut.done()) fut.set_result("from a thread"); }); });
  std::string s = co_await wait_for(fut, 5s);
  th.join();
  auto r = co_await gather(return_exceptions, wait_for(leaf(10), 1ms), async_with(timeout(1s), [] { return 5; }), move_on_after(1s, [&]() -> coroutine<int> { co_return co_await leaf(2); }));
  auto& [first, second, third] = r;
  co_return sum + static_cast<int>(s.size()) + first.has_value() + second.value() + third.value().value_or(0);
}
int main() { return run(amain()); }
