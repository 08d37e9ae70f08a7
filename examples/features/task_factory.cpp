// SPDX-License-Identifier: BSL-1.0
// A task factory is asked about every new task of the loop: here it counts those that run, and then starts them at once.
// See: a task that need not wait is done when create_task() returns, once the factory is the eager one.
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;

asyncio::coroutine<int> from_cache(int n) { co_return n; }

asyncio::coroutine<> amain() {
  asyncio::event_loop& loop = asyncio::get_running_loop();
  int running = 0;
  loop.set_task_factory([&running](asyncio::event_loop&, const asyncio::any_task& task, asyncio::task_options&) {
    ++running;
    task.add_done_callback([&running](asyncio::any_task) { --running; });
  });
  auto [a, b] = co_await asyncio::gather(from_cache(1), asyncio::sleep(10ms, 2));
  co_await asyncio::sleep(0s);
  std::printf("%d and %d; still running: %d\n", a, b, running);

  loop.set_task_factory(asyncio::eager_task_factory);
  auto at_once = asyncio::create_task(from_cache(3));
  std::printf("done at once: %s\n", at_once.done() ? "yes" : "no");
  loop.set_task_factory(nullptr);
}

int main() { asyncio::run(amain()); }
