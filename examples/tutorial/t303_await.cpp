// SPDX-License-Identifier: BSL-1.0
// Awaiting a coroutine waits for all of it, as a plain call would: nothing runs at the same time yet.
// See: B comes only after 2, two seconds later.
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;

asyncio::coroutine<> filling_function() {
  std::puts("1");
  co_await asyncio::sleep(2s);
  std::puts("2");
}

asyncio::coroutine<> amain() {
  std::puts("A");
  co_await filling_function();
  std::puts("B");
}

int main() { asyncio::run(amain()); }
