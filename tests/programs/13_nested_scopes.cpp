// SPDX-License-Identifier: BSL-1.0
// timeout around a group around a lock around streams' like objects; a value comes out of the innermost
#include <asyncio/asyncio.hpp>
#include <string>
using namespace asyncio;

coroutine<int> amain() {
  lock mutex;
  semaphore slots(10);
  int shared = 0;
  co_return co_await async_with(timeout(30s), [&](timeout& t) -> coroutine<int> {
    co_await async_with(task_group{}, [&](task_group& tg) -> coroutine<> {
      for (int i = 0; i < 100; ++i)
        tg.create_task([&, i]() -> coroutine<> {
          co_await async_with(slots, [&]() -> coroutine<> {
            co_await async_with(mutex, [&]() { shared += i; });
            co_await async_with(timeout(1s), [&](timeout& inner) -> coroutine<> { inner.reschedule(t.when()); co_await sleep(10ms); });
          });
        });
      co_return;
    });
    co_return shared;
  });
}
int main() { return run(amain()); }
