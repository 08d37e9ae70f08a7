// SPDX-License-Identifier: BSL-1.0
// The smallest program: run() starts a coroutine, sleep() waits without blocking the loop.
// See: A at once, B one second later.
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;

asyncio::coroutine<> amain() {
  std::puts("A");
  co_await asyncio::sleep(1s);
  std::puts("B");
}

int main() { asyncio::run(amain()); }
