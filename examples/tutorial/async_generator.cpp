// SPDX-License-Identifier: BSL-1.0
// A generator yields values on its way, and may await between them. Left early it is closed, which runs its clean-up.
// See: a tick every 200 ms; the third ends the loop, and the clock is stopped before the program goes on.
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;

asyncio::coroutine<> stop_clock() {
  co_await asyncio::sleep(100ms);
  std::puts("clock stopped");
}

asyncio::async_generator<int> ticks() {
  bool closed = false;
  for (int i = 1; !closed; ++i) {
    co_await asyncio::sleep(200ms);
    try {
      co_yield i;
    } catch (const asyncio::generator_exit&) {
      closed = true;
    }
  }
  co_await stop_clock();
}

asyncio::coroutine<> listen(asyncio::async_generator<int>& clock) {
  while (auto n = co_await clock.next()) {
    std::printf("tick %d\n", *n);
    if (*n == 3) break;
  }
}

asyncio::coroutine<> amain() {
  co_await asyncio::async_with(ticks(), listen);
  std::puts("after the clock");
}

int main() { asyncio::run(amain()); }
