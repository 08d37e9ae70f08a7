// SPDX-License-Identifier: BSL-1.0
// signals: as an async iteration, as callbacks; graceful stop
#include <asyncio/asyncio.hpp>
#include <csignal>
#include <cstdio>
using namespace asyncio;

coroutine<> watch(server& s) {
  signal_receiver signals({SIGTERM, SIGHUP});
  while (auto n = co_await signals.next()) {
    if (*n == SIGHUP) { std::puts("reload"); continue; }
    co_await s.shutdown(5s);
    break;
  }
}
coroutine<> amain() {
  auto& loop = get_running_loop();
  event stop;
  loop.add_signal_handler(SIGUSR1, [&] { stop.set(); });
  auto s = co_await start_server([](stream_reader, stream_writer w) -> coroutine<> { co_await w.write_all("bye\n"); }, "127.0.0.1", 0);
  auto w = create_task(watch(s));
  co_await stop.wait();
  loop.remove_signal_handler(SIGUSR1);
  w.cancel();
}
int main() {
  try { run(amain()); } catch (const keyboard_interrupt&) { return 130; }
}
