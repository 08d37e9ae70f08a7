// SPDX-License-Identifier: BSL-1.0
// From other threads into the loop: a thread runs coroutines on it and waits for their results.
// See: a result, an exception, a time that is over, and a cancellation, in a thread that knows nothing of coroutines.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>

using namespace std::chrono_literals;

asyncio::coroutine<int> ask(int question) {
  co_await asyncio::sleep(5ms);
  if (question < 0) throw std::invalid_argument("no such question");
  co_return 2 * question;
}

asyncio::coroutine<> endless() {
  try {
    co_await asyncio::sleep(1h);
  } catch (const asyncio::cancelled_error&) {
    std::puts("loop: cancelled from another thread");
    throw;
  }
}

void visitor(asyncio::event_loop& loop) {
  std::printf("thread: the answer is %d\n", asyncio::run_coroutine_threadsafe(ask(21), loop).result());
  try {
    asyncio::run_coroutine_threadsafe(ask(-1), loop).result();
  } catch (const std::invalid_argument& e) {
    std::printf("thread: %s\n", e.what());
  }
  asyncio::concurrent_future<> waiting = asyncio::run_coroutine_threadsafe(endless(), loop);
  try {
    waiting.result(20ms);
  } catch (const asyncio::timeout_error&) {
    std::puts("thread: no answer yet; the task goes on");
  }
  waiting.cancel();
}

asyncio::coroutine<> amain() {
  asyncio::event_loop& loop = asyncio::get_running_loop();
  asyncio::event left;
  std::thread thread([&] {
    visitor(loop);
    loop.call_soon_threadsafe([&] { left.set(); });
  });
  co_await left.wait();
  thread.join();
  // In a thread of the loop's own there is nobody to join.
  co_await asyncio::to_thread(
      [&] { std::printf("pool: %d\n", asyncio::run_coroutine_threadsafe(ask(4), loop).result()); });
}

int main() { asyncio::run(amain()); }
