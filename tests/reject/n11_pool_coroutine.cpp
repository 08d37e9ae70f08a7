// SPDX-License-Identifier: BSL-1.0
// both: A coroutine belongs to a loop of this process.
#include <asyncio/asyncio.hpp>

asyncio::coroutine<int> answer();

int main() {
  asyncio::process_pool_executor pool(1);
  pool.submit(answer);
}
