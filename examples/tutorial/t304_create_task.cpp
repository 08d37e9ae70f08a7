// SPDX-License-Identifier: BSL-1.0
// A task starts at the next await. Here there is none, so run() only lets it take its first step and then cancels it.
// See: 1 comes after B, and 2 never comes.
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
  co_return;
}

int main() { asyncio::run(amain()); }
