// SPDX-License-Identifier: BSL-1.0
// the documentation's TCP echo server, handler in place
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <string>
using namespace asyncio;

coroutine<> amain() {
  int clients = 0;
  server s = co_await start_server([&](stream_reader reader, stream_writer writer) -> coroutine<> {
    ++clients;
    while (auto line = co_await reader.next()) {
      writer.write(*line);
      co_await writer.drain();
    }
    co_await writer.aclose();
  }, "127.0.0.1", 8888);
  std::printf("LISTENING %d\n", s.port());
  co_await async_with(std::move(s), [&](server& srv) -> coroutine<> { co_await srv.serve_forever(); });
}
int main() { run(amain()); }
