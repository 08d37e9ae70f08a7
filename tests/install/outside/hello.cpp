// SPDX-License-Identifier: BSL-1.0
#include <asyncio/asyncio.hpp>
#include <cstdio>

asyncio::coroutine<int> answer() {
  co_await asyncio::sleep(std::chrono::milliseconds(1));
  co_return 42;
}

int main() { std::printf("%d\n", asyncio::run(answer())); }
