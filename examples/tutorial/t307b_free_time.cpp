// SPDX-License-Identifier: BSL-1.0
// The task finishes in the time that amain sleeps: nobody has to await it.
// See: A, 1, after two seconds 2, after five B.
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
  co_await asyncio::sleep(5s);
  std::puts("B");
}

int main() { asyncio::run(amain()); }
