// SPDX-License-Identifier: BSL-1.0
// The work of sync_6s as two tasks: both sleep at the same time, so the program takes 3 seconds instead of 6.
// See: time build/dev/bin/async_3s
#include <asyncio/asyncio.hpp>

#include <cmath>
#include <cstdio>

using namespace std::chrono_literals;

asyncio::coroutine<> fun1(int x) {
  std::printf("%d\n", x * x);
  co_await asyncio::sleep(3s);
  std::puts("fun1 done");
}

asyncio::coroutine<> fun2(int x) {
  std::printf("%.1f\n", std::sqrt(x));
  co_await asyncio::sleep(3s);
  std::puts("fun2 done");
}

asyncio::coroutine<> amain() {
  auto task1 = asyncio::create_task(fun1(4));
  auto task2 = asyncio::create_task(fun2(4));
  co_await task1;
  co_await task2;
}

int main() { asyncio::run(amain()); }
