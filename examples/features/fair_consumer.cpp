// SPDX-License-Identifier: BSL-1.0
// Tasks are cooperative: one runs until it waits. A consumer whose queue is never empty never waits; after a budget of
// such awaits it lets everybody else have a turn all the same.
// See: with a budget of 4 the clock's callback comes after three items; without one, after all of them.
#include <asyncio/asyncio.hpp>

#include <cstdio>

asyncio::coroutine<> consume(asyncio::queue<int>& items) {
  asyncio::get_running_loop().call_soon([] { std::puts("  somebody else has a turn"); });
  while (!items.empty()) {
    int item = co_await items.get();
    std::printf("  item %d\n", item);
  }
}

asyncio::coroutine<> amain() {
  asyncio::queue<int> items;
  for (int i = 1; i <= 6; ++i) items.put_nowait(i);
  auto consumer = asyncio::create_task(consume(items));
  co_await consumer;
  co_await asyncio::sleep(asyncio::timedelta());
}

int main() {
  std::puts("budget 4:");
  asyncio::run(amain(), {.budget = 4});
  std::puts("no limit:");
  asyncio::run(amain(), {.budget = 0});
}
