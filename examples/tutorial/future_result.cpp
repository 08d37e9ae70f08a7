// SPDX-License-Identifier: BSL-1.0
// A future is a result that somebody will set: two tasks await the same one, and set_result() wakes both.
// See: both wait at once and get the result together after one second; it can be read again afterwards.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <string>

using namespace std::chrono_literals;

asyncio::coroutine<> waiter(std::string name, asyncio::future<std::string> future) {
  std::printf("%s waits\n", name.c_str());
  std::string result = co_await future;
  std::printf("%s got %s\n", name.c_str(), result.c_str());
}

asyncio::coroutine<> amain() {
  auto future = asyncio::get_running_loop().create_future<std::string>();
  auto first = asyncio::create_task(waiter("first", future));
  auto second = asyncio::create_task(waiter("second", future));
  co_await asyncio::sleep(1s);
  std::printf("done before: %s\n", future.done() ? "True" : "False");
  future.set_result("the result");
  co_await first;
  co_await second;
  std::printf("again: %s\n", future.result().c_str());
}

int main() { asyncio::run(amain()); }
