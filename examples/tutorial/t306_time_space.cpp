// SPDX-License-Identifier: BSL-1.0
// While amain sleeps, the task runs; when amain ends first, the task is cancelled where it stands.
// See: 1 comes between A and B, and 2 never comes.
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
  co_await asyncio::sleep(1s);
  std::puts("B");
}

int main() { asyncio::run(amain()); }
