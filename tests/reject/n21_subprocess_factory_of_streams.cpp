// SPDX-License-Identifier: BSL-1.0
// A protocol of streams for a child process.
#include <asyncio/asyncio.hpp>

#include <memory>

asyncio::coroutine<> amain() {
  auto made = co_await asyncio::get_running_loop().subprocess_exec([] { return std::make_shared<asyncio::protocol>(); },
                                                                   asyncio::command("cat"));
}
int main() { asyncio::run(amain()); }
