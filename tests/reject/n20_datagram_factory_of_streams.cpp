// SPDX-License-Identifier: BSL-1.0
// A protocol of streams for datagrams.
#include <asyncio/asyncio.hpp>

#include <memory>

asyncio::coroutine<> amain() {
  auto made = co_await asyncio::get_running_loop().create_datagram_endpoint(
      [] { return std::make_shared<asyncio::protocol>(); }, {.local_addr = {"127.0.0.1", 0}});
}
int main() { asyncio::run(amain()); }
