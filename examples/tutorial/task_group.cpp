// SPDX-License-Identifier: BSL-1.0
// A group owns its tasks: the block ends when all have ended. One that fails cancels the others, and what was thrown
// comes out as a group of exceptions, each handled by its type.
// See: the three fetches share one second; then the mirror fails, and the slow one is cancelled at once.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;

asyncio::coroutine<> fetch(std::string name, asyncio::timedelta delay) {
  bool cancelled = false;
  try {
    co_await asyncio::sleep(delay);
    std::printf("%s is here\n", name.c_str());
  } catch (const asyncio::cancelled_error&) {
    cancelled = true;
  }
  if (cancelled) {
    std::printf("%s is cancelled\n", name.c_str());
    throw asyncio::cancelled_error();
  }
}

asyncio::coroutine<> fail(asyncio::timedelta delay) {
  co_await asyncio::sleep(delay);
  throw std::runtime_error("the mirror is gone");
}

asyncio::coroutine<> amain() {
  co_await asyncio::async_with(asyncio::task_group(), [](asyncio::task_group& group) {
    for (const char* name : {"one", "two", "three"}) group.create_task(fetch(name, 1s));
    std::puts("all started");
  });
  std::puts("all ended");

  try {
    co_await asyncio::async_with(asyncio::task_group(), [](asyncio::task_group& group) {
      group.create_task(fetch("quick", 200ms));
      group.create_task(fail(500ms));
      group.create_task(fetch("slow", 1h));
    });
  } catch (asyncio::exception_group& errors) {
    errors.handle<std::runtime_error>([](const std::runtime_error& e) { std::printf("failed: %s\n", e.what()); })
        .rethrow_rest();
  }
}

int main() { asyncio::run(amain()); }
