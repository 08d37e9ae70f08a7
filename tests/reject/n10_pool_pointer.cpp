// SPDX-License-Identifier: BSL-1.0
// both: A pointer means nothing in another process.
#include <asyncio/asyncio.hpp>

int first(const int* numbers);

int main() {
  asyncio::process_pool_executor pool(1);
  int numbers[] = {1, 2};
  pool.submit(first, numbers);
}
