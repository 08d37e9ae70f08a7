// SPDX-License-Identifier: BSL-1.0
// A loop without coroutines: callbacks that schedule each other by call_later(), until one of them calls stop().
// See: three ticks, half a second apart, then run_forever() returns and the loop is closed.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <functional>

using namespace std::chrono_literals;

void tick(asyncio::event_loop& loop, int n) {
  std::printf("tick %d\n", n);
  if (n == 3)
    loop.stop();
  else
    loop.call_later(0.5s, tick, std::ref(loop), n + 1);
}

int main() {
  auto loop = asyncio::new_event_loop();
  loop->call_soon(tick, std::ref(*loop), 1);
  loop->run_forever();
  std::printf("running: %s\n", loop->is_running() ? "True" : "False");
  loop->close();
  std::printf("closed: %s\n", loop->is_closed() ? "True" : "False");
}
