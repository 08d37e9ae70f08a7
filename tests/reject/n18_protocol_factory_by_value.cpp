// SPDX-License-Identifier: BSL-1.0
// A factory that returns a protocol by value: nobody could share it.
#include <asyncio/asyncio.hpp>

struct echo : asyncio::protocol {};

asyncio::coroutine<> amain() {
  auto made = co_await asyncio::get_running_loop().create_connection([] { return echo(); }, "localhost", 80);
}
int main() { asyncio::run(amain()); }
