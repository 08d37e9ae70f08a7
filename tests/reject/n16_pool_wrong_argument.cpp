// SPDX-License-Identifier: BSL-1.0
// both: a process pool's function that does not take these arguments
#include <asyncio/asyncio.hpp>

int twice(int n) { return 2 * n; }

int main() {
  asyncio::process_pool_executor pool(1);
  return pool.submit(twice, "x").result();
}
