// SPDX-License-Identifier: BSL-1.0
// call_soon_threadsafe, run_coroutine_threadsafe from a std::thread
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <string>
#include <thread>
using namespace asyncio;

coroutine<int> answer(int n) { co_await sleep(1s); co_return n; }

coroutine<> amain() {
  event_loop& loop = get_running_loop();
  event done;
  std::thread t([&] {
    concurrent_future<int> f = run_coroutine_threadsafe(answer(42), loop);
    try { std::printf("%d\n", f.result(5s)); } catch (const timeout_error&) { f.cancel(); }
    int base = 1;
    auto g = run_coroutine_threadsafe([&]() -> coroutine<int> { co_return base + co_await answer(1); }, loop);
    g.add_done_callback([](auto x) { std::printf("%d\n", x.result()); });
    g.result();
    loop.call_soon_threadsafe([&] { done.set(); });
    loop.call_soon_threadsafe(&event::set, &done);
  });
  co_await done.wait();
  t.join();
}
int main() { run(amain()); }
