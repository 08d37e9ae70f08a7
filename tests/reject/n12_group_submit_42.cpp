// SPDX-License-Identifier: BSL-1.0
// both: a loop_group is given something that is neither a coroutine nor a function
#include <asyncio/asyncio.hpp>

int main() {
  asyncio::loop_group group(1);
  (void)group.submit(42);
}
