// SPDX-License-Identifier: BSL-1.0
// Two functions without asyncio: each sleeps 3 seconds, one after the other, so the program takes 6.
// See: time build/dev/bin/sync_6s (then async_3s, which does the same work in 3).
#include <chrono>
#include <cmath>
#include <cstdio>
#include <thread>

void fun1(int x) {
  std::printf("%d\n", x * x);
  std::this_thread::sleep_for(std::chrono::seconds(3));
  std::puts("fun1 done");
}

void fun2(int x) {
  std::printf("%.1f\n", std::sqrt(x));
  std::this_thread::sleep_for(std::chrono::seconds(3));
  std::puts("fun2 done");
}

int main() {
  fun1(4);
  fun2(4);
}
