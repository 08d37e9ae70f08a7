// SPDX-License-Identifier: BSL-1.0
// Two awaits one after the other: the second coroutine starts when the first has ended, so their times add up.
// See: second starts only after first ends; three seconds in all. gather() would take two.
#include <asyncio/asyncio.hpp>

#include <chrono>
#include <cstdio>
#include <string>

using namespace std::chrono_literals;

asyncio::coroutine<> job(std::string name, asyncio::timedelta duration) {
  std::printf("%s starts\n", name.c_str());
  co_await asyncio::sleep(duration);
  std::printf("%s ends\n", name.c_str());
}

asyncio::coroutine<> amain() {
  auto started = std::chrono::steady_clock::now();
  co_await job("first", 1s);
  co_await job("second", 2s);
  std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started;
  std::printf("%.0f seconds: the sum\n", elapsed.count());
}

int main() { asyncio::run(amain()); }
