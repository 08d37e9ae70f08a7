// SPDX-License-Identifier: BSL-1.0
// both: A lambda's captures would stay behind.
#include <asyncio/asyncio.hpp>

int main() {
  asyncio::process_pool_executor pool(1);
  int factor = 3;
  pool.submit([factor](int n) { return factor * n; }, 4);
}
