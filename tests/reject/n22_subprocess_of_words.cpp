// SPDX-License-Identifier: BSL-1.0
// Python's way to write a child's arguments.
#include <asyncio/asyncio.hpp>

asyncio::coroutine<> amain() {
  auto child = co_await asyncio::create_subprocess_exec("ls", "-l");
}
int main() { asyncio::run(amain()); }
