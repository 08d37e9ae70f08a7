// SPDX-License-Identifier: BSL-1.0
// Awaiting a task yields what its coroutine returned, at once if it is already done.
// See: DONE comes together with B, five seconds after A.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <string>

using namespace std::chrono_literals;

asyncio::coroutine<std::string> filling_function() {
  std::puts("1");
  co_await asyncio::sleep(2s);
  std::puts("2");

  co_return "DONE";
}

asyncio::coroutine<> amain() {
  auto task = asyncio::create_task(filling_function());
  std::puts("A");
  co_await asyncio::sleep(5s);
  std::puts("B");
  std::string value = co_await task;
  std::puts(value.c_str());
}

int main() { asyncio::run(amain()); }
