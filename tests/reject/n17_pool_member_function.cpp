// SPDX-License-Identifier: BSL-1.0
// both: a process pool calls no member functions
#include <asyncio/asyncio.hpp>

struct shape {
  double width = 1;
  double area() const { return width * width; }
};

int main() {
  asyncio::process_pool_executor pool(1);
  pool.submit(&shape::area, shape());
}
