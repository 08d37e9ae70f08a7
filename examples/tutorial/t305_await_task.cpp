// SPDX-License-Identifier: BSL-1.0
// Awaiting the task gives it the time to finish.
// See: A and B come first, 2 two seconds later.
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;

asyncio::coroutine<> filling_function() {
  std::puts("1");
  co_await asyncio::sleep(2s);
  std::puts("2");
}

asyncio::coroutine<> amain() {
  auto task = asyncio::create_task(filling_function());
  std::puts("A");
  std::puts("B");
  co_await task;
}

int main() { asyncio::run(amain()); }
