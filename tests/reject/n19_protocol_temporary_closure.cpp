// SPDX-License-Identifier: BSL-1.0
// A temporary closure that owns something, as a factory: GCC 12 would destroy it twice.
#include <asyncio/asyncio.hpp>

#include <memory>
#include <string>

struct echo : asyncio::protocol {
  explicit echo(std::string) {}
};

asyncio::coroutine<> amain(std::string name) {
  asyncio::server s = co_await asyncio::get_running_loop().create_server(
      [name] { return std::make_shared<echo>(name); }, "localhost", 80);
}
int main() { asyncio::run(amain("x")); }
