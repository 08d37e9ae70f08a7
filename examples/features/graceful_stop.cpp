// SPDX-License-Identifier: BSL-1.0
// A program that is stopped gracefully: SIGHUP makes it read its settings again, SIGTERM or Ctrl-C lets the jobs that run
// come to their end, and a second one cuts them short. Here it sends the signals to itself.
// See: the two that come while nobody waits are not lost, and come in order.
#include <asyncio/asyncio.hpp>

#include <csignal>
#include <cstdio>

using namespace std::chrono_literals;

asyncio::coroutine<> job(const char* name, asyncio::timedelta takes) {
  try {
    co_await asyncio::sleep(takes);
    std::printf("%s: done\n", name);
  } catch (const asyncio::cancelled_error&) {
    std::printf("%s: cut short\n", name);
    throw;
  }
}

asyncio::coroutine<> cut_on_signal(asyncio::signal_receiver& signals, asyncio::task<> jobs) {
  while (auto number = co_await signals.next()) {
    if (*number == SIGHUP) continue;
    std::puts("again: at once");
    jobs.cancel();
  }
}

asyncio::coroutine<> amain() {
  asyncio::signal_receiver signals({SIGTERM, SIGINT, SIGHUP});
  auto quick = asyncio::create_task(job("quick job", 50ms));
  auto slow = asyncio::create_task(job("slow job", 1h));

  std::raise(SIGHUP);
  std::raise(SIGTERM);
  co_await asyncio::sleep(10ms);
  while (auto number = co_await signals.next()) {
    if (*number != SIGHUP) break;
    std::puts("settings read again");
  }
  std::puts("stopping");

  auto hurry = asyncio::create_task(cut_on_signal(signals, slow));
  co_await quick;
  std::raise(SIGINT);
  co_await asyncio::gather(asyncio::return_exceptions, slow);
  signals.close();  // who waits for the next one gets nothing
  co_await hurry;
  std::puts("stopped");
}

int main() { asyncio::run(amain()); }
