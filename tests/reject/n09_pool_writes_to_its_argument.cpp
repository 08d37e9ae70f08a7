// SPDX-License-Identifier: BSL-1.0
// both: The worker would write to a copy.
#include <asyncio/asyncio.hpp>

#include <vector>

void sort(std::vector<int>& numbers);

int main() {
  asyncio::process_pool_executor pool(1);
  std::vector<int> numbers{3, 1, 2};
  pool.submit(sort, numbers);
}
