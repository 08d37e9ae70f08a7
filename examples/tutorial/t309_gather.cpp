// SPDX-License-Identifier: BSL-1.0
// gather() runs several coroutines at the same time and waits for all of them.
// See: 1 and 3 at once, 4 after one second, 2 after three.
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;

asyncio::coroutine<> filling_function1() {
  std::puts("1");
  co_await asyncio::sleep(3s);
  std::puts("2");
}

asyncio::coroutine<> filling_function2() {
  std::puts("3");
  co_await asyncio::sleep(1s);
  std::puts("4");
}

asyncio::coroutine<> amain() { co_await asyncio::gather(filling_function1(), filling_function2()); }

int main() { asyncio::run(amain()); }
