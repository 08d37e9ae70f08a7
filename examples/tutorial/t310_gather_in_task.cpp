// SPDX-License-Identifier: BSL-1.0
// gather() inside a task: its results come in the order of the call, whichever function ended first.
// See: function 2 ends first, yet Result 1 stands first; B after five seconds.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <string>

using namespace std::chrono_literals;

asyncio::coroutine<std::string> filling_function1() {
  std::puts("Function 1 starts");
  co_await asyncio::sleep(2s);
  std::puts("Function 1 ends");
  co_return "Result 1";
}

asyncio::coroutine<std::string> filling_function2() {
  std::puts("Function 2 starts");
  co_await asyncio::sleep(1s);
  std::puts("Function 2 ends");
  co_return "Result 2";
}

asyncio::coroutine<> run_all() {
  auto [result1, result2] = co_await asyncio::gather(filling_function1(), filling_function2());
  std::printf("Run all: ['%s', '%s']\n", result1.c_str(), result2.c_str());
}

asyncio::coroutine<> amain() {
  auto task = asyncio::create_task(run_all());
  std::puts("A");
  co_await asyncio::sleep(5s);
  std::puts("B");
}

int main() { asyncio::run(amain()); }
