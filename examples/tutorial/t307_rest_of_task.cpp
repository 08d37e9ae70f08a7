// SPDX-License-Identifier: BSL-1.0
// The task starts while amain sleeps and gets the rest of its time when amain awaits it.
// See: A, 1, after a second B, after another one 2.
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
  co_await asyncio::sleep(1s);
  std::puts("B");
  co_await task;
}

int main() { asyncio::run(amain()); }
